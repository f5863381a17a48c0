// dweights import: a PyTorch file becomes a run directory that dsample, dtrain --resume and dweights verify take.
#include <algorithm>
#include <array>
#include <cmath>

#include "dweights/described_run.h"
#include "dweights/dweights.h"
#include "dweights/networks.h"
#include "kernels/thread_pool.h"
#include "quality/judges/scorer.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/checkpoint.h"
#include "train/model_run.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

void refuse_taken(const std::string& out) {
  check_input(latest_checkpoint(out).empty(), Fault::kCannotCreate, out, ": holds a run already; choose another --out");
}

void append(std::vector<NamedTensor>* to, const std::vector<NamedTensor>& more) {
  to->insert(to->end(), more.begin(), more.end());
}

std::vector<NamedTensor> checkpoint_tensors(const DenoiserImport& import) {
  const auto scalar = [](int64_t value) { return full({}, double(value), DType::i64); };
  std::vector<NamedTensor> tensors = import.model;
  const bool goes_on = !import.exp_avg.empty();
  if (!import.ema.empty()) append(&tensors, add_prefix("ema.", import.ema));
  if (!goes_on) return tensors;
  if (import.ema.empty()) append(&tensors, add_prefix("ema.", import.model));
  append(&tensors, add_prefix("train.exp_avg.", import.exp_avg));
  append(&tensors, add_prefix("train.exp_avg_sq.", import.exp_avg_sq));
  append(&tensors, {{"train.step", scalar(import.adam_step)},
                    {"train.ema_step", scalar(import.ema_step)},
                    {"train.steps_done", scalar(import.step)}});
  return tensors;
}

constexpr std::array<int64_t, 2> kAttentions[] = {{1, 0}, {2, 0},  {4, 0},  {8, 0},  {16, 0},
                                                  {1, 8}, {1, 16}, {1, 32}, {1, 64}, {1, 128}};  // heads, head_dim

// Weights that fit say nothing of heads and of the order of q, k and v; the answers do. Every possibility is tried.
void find_attention(const SafetensorsFile& io, const Common& common, DenoiserImport* import) {
  check_input(import->options.architecture == "guided", Fault::kUsage,
              "--against: only guided-diffusion's attention has to be found, found ", import->options.architecture);
  DenoiserOptions best;
  double smallest = INFINITY;
  for (const auto& [heads, head_dim] : kAttentions)
    for (const bool new_order : {false, true}) {
      DenoiserOptions options = import->options;
      options.heads = heads;
      options.head_dim = head_dim;
      options.new_attention_order = new_order;
      try {
        Denoiser network(options, 0);
        network.load_state_dict(import->model);
        network.eval();
        const double worst = compare_with(io, parity_of(network, io.path)).worst();
        if (worst < smallest) {
          smallest = worst;
          best = options;
        }
      } catch (const Error& error) {
        if (error.fault() != Fault::kUsage) throw;  // heads that don't divide the width
      }
    }
  check_input(smallest <= 1e-3, Fault::kBadInput, io.path,
              ": no number of heads and order of q, k, v gives its answers; the best is off by ", smallest,
              " relative; is it this network's?");
  import->options = best;
  note(common, concat_message("found by parity, off by ", smallest, " relative: ",
                              best.head_dim > 0 ? concat_message("--num-head-channels ", best.head_dim)
                                                : concat_message("--num-heads ", best.heads),
                              " --attention-order ", best.new_attention_order ? "new" : "legacy"));
}

int import_classifier(const ImportCommand& flags, const Common& common) {
  const ResNet18Import import = import_resnet18(flags.file, flags.source);
  require_finite(import.weights, Fault::kBadInput, flags.file);
  const RunDirectory directory(flags.out);
  refuse_taken(flags.out);
  const int64_t size = flags.image_size.value_or(64);
  directory.write_config(toml_line("width", std::to_string(import.options.width)) +
                         toml_line("image-size", std::to_string(size)));
  save_resnet18_run(flags.out, 0, import.options, import.weights, size);
  for (const std::string& line : import.notes) note(common, line);
  note(common, concat_message(flags.out, ": ResNet-18, width ", import.options.width, ", ", import.options.in_channels,
                              " channels, ", import.options.classes, " classes; all ", import.weights.size(),
                              " tensors accounted for"));
  return 0;
}

int import_file(ImportCommand& flags, const Common& common) {
  set_thread_count(int(common.threads));
  NetworkHints& hints = flags.source.hints;
  hints.new_attention_order = flags.attention_order == "new";
  if (!flags.against.empty() && !hints.num_head_channels) hints.num_heads = hints.num_heads.value_or(1);
  hints.mask_planes = !flags.planes.empty();
  flags.source.seed = common.seed;
  if (flags.source.as == "resnet18") return import_classifier(flags, common);
  DenoiserImport import = import_denoiser(flags.file, flags.source);
  require_finite(import.model, Fault::kBadInput, flags.file);
  require_finite(import.ema, Fault::kBadInput, flags.file);
  if (!flags.against.empty()) find_attention(read_safetensors(flags.against), common, &import);
  const DenoiserRun run = describe_run(flags, import, common);
  const RunDirectory directory(flags.out);
  refuse_taken(flags.out);
  directory.write_config(config_text(run, import));
  Metadata metadata = to_metadata(run);
  metadata["step"] = std::to_string(import.step);
  metadata["imported"] = "true";
  save_checkpoint(flags.out, import.step, checkpoint_tensors(import), metadata, 0);
  for (const std::string& line : import.notes) note(common, line);
  const DenoiserOptions& net = run.options;
  note(common,
       concat_message(flags.out, ": ", net.architecture, " U-Net, dim ", net.dim, ", mults ", join(net.mults), ", ",
                      net.image_channels, " channels and ", net.planes, " masks",
                      net.patch > 1 ? concat_message(", patches of ", net.patch) : "",
                      net.patch_basis == "haar" ? " in Haar's basis" : "",
                      net.learned_variance ? ", learned variance" : "", "; all ", import.model.size(),
                      " tensors accounted for", import.ema.empty() ? "" : ", with their moving average",
                      import.exp_avg.empty() ? "" : concat_message(" and Adam's state after step ", import.adam_step)));
  return 0;
}

void check_flags(const ImportCommand& flags) {
  const NetworkHints& hints = flags.source.hints;
  check_input(!(hints.num_heads && hints.num_head_channels), Fault::kUsage,
              "--num-head-channels: --num-heads is given too; choose one");
  const bool guided = flags.source.as == "guided-diffusion" || flags.source.as == "sdm";
  check_input(guided || (!hints.num_heads && !hints.num_head_channels), Fault::kUsage,
              "--num-heads: only guided-diffusion and sdm need it, found --as ", flags.source.as);
  check_input(guided || flags.against.empty(), Fault::kUsage,
              "--against: only guided-diffusion and sdm need it, found --as ", flags.source.as);
  check_input(hints.patch > 1 || hints.patch_basis == "shuffle", Fault::kUsage,
              "--patch-basis: haar needs --patch 2 or 4, found --patch 1");
  for (const std::string& plane : split(flags.planes)) check_name(plane, Fault::kUsage, "--planes", "plane");
  check_input(!flags.source.classes || flags.source.as == "resnet18", Fault::kUsage,
              "--classes: needs --as resnet18, found --as ", flags.source.as);
}

}  // namespace

void ImportCommand::declare(Options& root) {
  Options& options = root.subcommand("import", "Makes a run directory of a PyTorch file.",
                                     "dweights import model.pt --as lucidrains --out runs/imported");
  options.add_positional("file", file, ".pt .pth .ckpt .bin .safetensors, or a folder that diffusers saved").required();
  options.add("--out", out, "run directory to write", "RUN").required();
  options
      .add_choice("--as", source.as, "whose network it is (sdm is unproven)",
                  {"resnet18", "lucidrains", "guided-diffusion", "sdm", "diffusers"})
      .required();
  options.add("--num-heads", source.hints.num_heads,
              "guided-diffusion, sdm: attention heads, which the file doesn't say", {1, 1024}, "heads",
              "from --num-head-channels");
  options.add("--num-head-channels", source.hints.num_head_channels, "the same, by the channels of a head", {1, 4096},
              "channels", "from --num-heads");
  options.add_choice("--attention-order", attention_order,
                     "guided-diffusion, sdm: rows of qkv by head first (legacy) or by q, k, v (new)",
                     {"legacy", "new"});
  options.add("--against", against, "find heads and order by parity with these answers, as dweights verify takes them",
              "FILE.safetensors");
  options.add_choice("--part", source.part,
                     "of a training checkpoint: the trained weights or their moving average alone", {"model", "ema"},
                     "all there is, with Adam's state");
  options.add("--image-channels", source.hints.image_channels,
              "channels of a picture; 1 makes a network of RGB one of grey", {1, 64}, "channels", "as the file");
  options.add("--patch", source.hints.patch,
              "of a network of ours: pixels a side that are its first convolution's channels; 1, 2 or 4", {1, 4},
              "pixels");
  options.add_choice("--patch-basis", source.hints.patch_basis,
                     "what they are of such a patch: pixels, or Haar's transform", {"shuffle", "haar"});
  options.add("--classes", source.classes, "resnet18: 1 replaces the last layer by a fresh logit", {1, 100000},
              "classes", "as the file");
  options.add("--class-label", source.class_label, "of a class-conditional network: the class to keep for good",
              {0, 1000000}, "class", "refused");
  options.add("--image-size", image_size, "side of the pictures it was trained on", {1, 4096}, "pixels",
              "as config.json, else 64");
  options.add("--planes", planes, "names of the mask planes, the sector last", "NAME,NAME,...", "plane_1, .., sector");
  options.add("--timesteps", timesteps, "T of its training", {1, 1000000}, "steps", "as the file, else 1000");
  options.add_choice("--schedule", schedule, "its noise schedule; file: as the file, else linear",
                     {"file", "linear", "cosine", "sigmoid"});
  options.add("--schedule-shift", schedule_shift,
              "side of the pictures that the schedule was made for, where it was shifted for others; 0: it wasn't",
              {0, 4096}, "pixels");
  options.add_choice("--predict", predict, "what it answers; file: as the file, else eps", {"file", "eps", "v", "x0"});
  options.rule([this] { check_flags(*this); });
  options.body([this](const Common& common) { return import_file(*this, common); });
}

}  // namespace echodiff
