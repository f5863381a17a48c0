#include "dtrain/flags.h"

#include "dtrain/ranks.h"
#include "dtrain/tensorboard.h"
#include "tensor/io/text.h"
#include "train/data/told_augment.h"

namespace echodiff {
namespace {

constexpr int64_t kMany = 1'000'000'000;

void add_data_flags(Options& options, DiffusionFlags& flags) {
  options.add("--data", flags.data, "data-set folder: images/, masks/, sector/", "DIR", "none: needs --replay");
  options.add("--out", flags.out, "run directory to write", "RUN").required();
  options.add("--image-size", flags.image_size, "side of the pictures, resized on load", {16, 1024}, "pixels");
  add_fit(options, flags.fit);
  options.add("--planes", flags.planes, "mask planes, in place of dataset.json", "NAME=VALUE,...", "as dataset.json");
  options.add("--steps", flags.steps, "optimiser steps", {1, kMany}, "steps", "as --epochs says");
  options.add("--epochs", flags.epochs, "passes over the data", {1, kMany}, "epochs", "200 without --steps");
  options.add("--batch", flags.batch, "pictures in memory at once", {1, 65536}, "pictures");
  options.add("--accumulate", flags.accumulate, "batches a step: gradients are averaged over them", {1, 65536},
              "batches");
  declare_micro_batches(options, flags.micro_batches);
  options.add_flag("--checkpoint-activations", flags.checkpoint_activations,
                   "keep each block's inputs alone and compute it again going backward: far less memory, a third more "
                   "time");
  options.add_flag("--dry-run", flags.dry_run,
                   "write nothing: take three steps, and say what memory and time the run will take");
  declare_resume(options, flags.resume);
  options.add(
      "--init", flags.init,
      "begin with the network of this run (and its schedule, prediction, time steps, fit and order of planes), or "
      "of any PyTorch file that dweights import takes (guided-diffusion: with --heads or --head-dim)",
      "FILE");
  options.add("--replay", flags.replay, "train on exactly these batches: x_0, cond, t, noise (safetensors)", "FILE");
  options.add_flag("--flip", flags.augment.flip, "mirror every other picture with its masks");
  options.add("--augment", flags.augment.told,
              "zoom, turn, shift, gain, depth gain and shadow, each with this probability; the network is told, so "
              "samples show none of it: for few pictures",
              {0, 1}, "probability");
  options.add("--augment-gamma", flags.augment.gamma, "grey^g within the sector, |log g| up to this", {0, 1},
              "log units");
  options.add("--augment-gain", flags.augment.gain, "grey times 1 +- this within the sector", {0, 0.9}, "fraction");
}

void add_model_flags(Options& options, DiffusionFlags& flags) {
  DenoiserOptions& net = flags.model.options;
  options.add("--timesteps", flags.model.T, "T of the forward process", {1, 1'000'000}, "steps");
  options.add_choice("--schedule", flags.schedule, "noise schedule", {"linear", "cosine", "sigmoid"});
  options.add(
      "--schedule-shift", flags.schedule_shift,
      "side of the pictures that the schedule was made for: 2 log(this / --image-size) is added to its log-SNR, so "
      "that larger pictures see as much noise per structure; 0: nothing is added",
      {0, 4096}, "pixels");
  options.add_choice("--predict", flags.predict, "what the network answers", {"eps", "v", "x0"});
  options.add_choice("--variance", flags.model.variance, "sigma_t^2 that ddpm samples with", {"posterior", "beta"});
  options.add("--min-snr-gamma", flags.min_snr_gamma, "loss weight min(snr, gamma)/snr", {0.01, 1000}, "snr", "off");
  options.add("--mask-drop", flags.mask_drop, "share of samples trained without organ masks, for --guidance", {0, 1},
              "fraction");
  options.add_choice("--arch", net.architecture,
                     "U-Net: lucidrains 2.x, its 1.x with GroupNorm, guided-diffusion, UNet2DModel of diffusers",
                     {"lucidrains", "lucidrains1", "guided", "diffusers"});
  options.add_choice("--condition", net.condition, "how masks enter: as input channels, or in the norms (guided)",
                     {"concat", "spade"});
  options.add("--dim", net.dim, "channels at full resolution", {4, 4096}, "channels");
  options.add("--mults", flags.mults, "channels of each level, times dim", "N,N,...");
  options.add("--patch", net.patch,
              "squares of so many pixels a side become channels: 128 pixels with 2 cost about what 64 cost; 1, 2 or 4",
              {1, 4}, "pixels");
  options.add_choice("--patch-basis", net.patch_basis,
                     "with --patch: the channels are its pixels, or their orthonormal Haar transform",
                     {"shuffle", "haar"});
  options.add("--blocks", net.blocks, "residual blocks a level; lucidrains has 2", {1, 16}, "blocks");
  options.add("--heads", net.heads, "attention heads; guided: where --head-dim is 0", {1, 256}, "heads");
  options.add("--head-dim", net.head_dim,
              "channels of an attention head; 0: as --heads says (guided), one head (diffusers)", {0, 1024},
              "channels");
  options.add("--attention-resolutions", flags.attention_resolutions,
              "guided, diffusers: downsampling factors with attention besides the middle", "N,N,...");
  options.add("--dropout", net.dropout, "share of activations dropped in residual blocks", {0, 0.99}, "fraction");
  options.add_flag("--print-summary", flags.print_summary, "list every parameter tensor on stderr");
}

void add_optimizer_flags(Options& options, DiffusionFlags& flags) {
  options.add_choice("--optimizer", flags.optimizer, "update rule", {"adam", "adamw"});
  options.add("--lr", flags.learning_rate.rate, "learning rate", {0, 1e6}, "per step");
  options.add("--warmup", flags.learning_rate.warmup, "steps over which the rate rises from 0", {0, kMany}, "steps");
  options.add_flag("--cosine", flags.learning_rate.cosine, "let the rate fall along half a cosine to the last step");
  options.add("--final-lr", flags.learning_rate.final_fraction, "with --cosine: rate at the last step", {0, 1},
              "fraction of --lr");
  options.add_numbers("--betas", flags.betas, "Adam's decay of gradient and square", {0, 0.999999999}, "fraction");
  options.add("--eps", flags.eps, "Adam's epsilon", {0, 1}, "gradient");
  options.add("--weight-decay", flags.weight_decay, "L2 (adam) or decoupled (adamw)", {0, 100}, "fraction");
  options.add("--clip", flags.clip, "largest gradient norm; 0 clips nothing", {0, 1e12}, "norm");
  options.add("--ema", flags.ema.beta, "largest decay of the moving average", {0, 1}, "fraction");
  options.add("--ema-after", flags.ema.update_after_step, "steps during which the average is a copy", {0, kMany},
              "steps");
  options.add("--ema-every", flags.ema.update_every, "steps between updates of the average", {1, kMany}, "steps");
  options.add("--ema-power", flags.ema.power, "decay after s updates: 1 - (1 + s / inv-gamma)^-power", {0, 100},
              "exponent");
  options.add("--ema-inv-gamma", flags.ema.inv_gamma, "see --ema-power", {1e-6, 1e9}, "steps");
  options.add("--ema-snapshots", flags.ema_snapshots,
              "steps between snapshots of two more averages, from which dtrain ema makes one of any length after the "
              "run; 0: none",
              {0, kMany}, "steps");
}

void add_report_flags(Options& options, DiffusionFlags& flags) {
  options.add("--save-every", flags.save_every, "steps between checkpoints; one is always written at the end",
              {1, kMany}, "steps");
  options.add("--keep", flags.keep, "newest checkpoints to keep, at least 2; 0 keeps all", {0, kMany}, "checkpoints");
  options.add("--log-every", flags.log_every, "steps between lines of log.jsonl", {1, kMany}, "steps");
  options.add("--val-every", flags.val_every, "steps between losses on held-out pictures; 0: never", {0, kMany},
              "steps");
  options.add("--val-count", flags.val_count, "held-out pictures to use, each at ten noise levels", {1, kMany},
              "pictures");
  options.add_choice("--stop-on", flags.stop_on,
                     "ends training early, at a validation: val: its loss has not improved for long | copies: samples "
                     "drawn then are copies of training pictures",
                     {"never", "val", "copies"});
  options.add("--patience", flags.patience, "--stop-on val: validations in a row without a new least loss", {1, kMany},
              "validations");
  options.add("--copy-limit", flags.copy_limit,
              "--stop-on copies: largest share of samples nearer to a training picture than held-out ones ever are",
              {0, 1}, "share");
  options.add("--copy-count", flags.copy_count, "samples drawn for it, of held-out masks in --sample-steps steps",
              {1, 4096}, "samples");
  declare_tensorboard(options, flags.tensorboard);
  options.add("--sample-every", flags.sample_every, "steps between sample pictures; 0: never", {0, kMany}, "steps");
  options.add("--sample-count", flags.sample_count, "masks in a sample picture", {1, 64}, "masks");
  options.add("--sample-steps", flags.sample_steps, "DDIM steps for it", {1, 1000}, "steps");
}

void check_flags(const DiffusionFlags& flags) {
  const DenoiserOptions& net = flags.model.options;
  const bool replayed = !flags.replay.empty();
  check_input(flags.data.empty() == replayed, Fault::kUsage,
              "--data: expected either --data DIR or --replay FILE, found ", replayed ? "both" : "neither");
  check_input(!(flags.steps && flags.epochs), Fault::kUsage, "--epochs: --steps is given too; choose one");
  check_input(!(replayed && flags.epochs), Fault::kUsage, "--epochs: a replay has no epochs; give --steps");
  check_input(flags.augment.told == 0 || !replayed, Fault::kUsage, "--augment: a replay has its own pictures");
  check_input(flags.augment.told == 0 || net.condition == "concat", Fault::kUsage,
              "--augment: needs --condition concat, found spade");
  check_input(!(replayed && flags.accumulate > 1), Fault::kUsage, "--accumulate: a replay has its own batches");
  check_input(!(replayed && flags.micro_batches > 1), Fault::kUsage, "--micro-batches: a replay has its own batches");
  check_input(flags.accumulate == 1 || flags.micro_batches == 1, Fault::kUsage,
              "--accumulate: --micro-batches is given too; choose one");
  check_input(!(flags.dry_run && flags.resume.on), Fault::kUsage,
              "--dry-run: --resume is given too; leave it out, the run takes what a new one takes");
  check_micro_batches(flags.micro_batches, flags.batch);
  check_input(flags.stop_on == "never" || (!replayed && flags.val_every > 0), Fault::kUsage,
              "--stop-on: looks at held-out pictures, expected --data and --val-every above 0");
  check_input(flags.keep != 1, Fault::kUsage, "--keep: expected 0 (all) or at least 2, found 1");
  check_input(net.patch != 3, Fault::kUsage, "--patch: expected 1, 2 or 4, found 3");
  const bool begins = flags.init.empty() && !flags.resume.on;  // else an earlier run may say what its patches are
  check_input(net.patch > 1 || net.patch_basis == "shuffle" || !begins, Fault::kUsage,
              "--patch-basis: haar needs --patch 2 or 4, found --patch 1");
  check_input(net.condition == "concat" || net.architecture == "guided", Fault::kUsage,
              "--condition: spade needs --arch guided, found --arch ", net.architecture);
  check_input(!parse_integers(flags.mults, "--mults").empty(), Fault::kUsage, "--mults: expected at least one level");
  parse_integers(flags.attention_resolutions, "--attention-resolutions");
}

}  // namespace

AdamOptions DiffusionFlags::adam() const {
  return {.beta1 = betas[0],
          .beta2 = betas[1],
          .eps = eps,
          .weight_decay = weight_decay,
          .decoupled = optimizer == "adamw"};
}

DenoiserRun DiffusionFlags::run() const {
  DenoiserRun run = model;
  run.schedule = parse_schedule(schedule);
  run.prediction = parse_prediction(predict);
  run.fit = parse_fit(fit);
  run.options.augment_labels = augment.told > 0 ? kAugmentLabels : 0;
  run.options.mults = parse_integers(mults, "--mults");
  run.options.attention_resolutions = parse_integers(attention_resolutions, "--attention-resolutions");
  return run;
}

void add_fit(Options& options, std::string& fit) {
  options.add_choice(
      "--fit", fit,
      "how pictures that aren't square become so: stretched, with black around them, or cut to the middle",
      {"squash", "pad", "crop"});
}

void add_flags(Options& options, DiffusionFlags& flags) {
  add_data_flags(options, flags);
  add_model_flags(options, flags);
  add_optimizer_flags(options, flags);
  add_report_flags(options, flags);
  options.common_flags({"--data",    "--image-size", "--patch",   "--steps",         "--batch",
                        "--lr",      "--schedule",   "--predict", "--min-snr-gamma", "--arch",
                        "--dim",     "--mults",      "--flip",    "--augment",       "--val-every",
                        "--stop-on", "--resume",     "--init",    "--dry-run",       "--micro-batches"});
  options.rule([&flags] {
    DenoiserOptions& net = flags.model.options;
    // The norms of spade exist in the guided network only, so asking for it alone means that one.
    if (net.condition == "spade" && net.architecture == "lucidrains") net.architecture = "guided";
    check_flags(flags);
  });
}

}  // namespace echodiff
