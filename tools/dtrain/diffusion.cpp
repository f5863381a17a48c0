// dtrain diffusion: algorithm 1 of Ho et al. 2020 (arXiv:2006.11239), conditioned on masks c.
//
//   repeat:  x_0, c ~ q(x_0, c);  t ~ Uniform{0..T-1};  eps ~ N(0, I)
//            take a gradient step on || target - net(sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t, c) ||^2
//
// Every random number is a function of (seed, number of the sample), so a resumed run equals the unbroken one bit for
// bit.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <optional>

#include "diffusion/condition.h"
#include "diffusion/diffusion.h"
#include "dtrain/dtrain.h"
#include "dtrain/flags.h"
#include "dtrain/init.h"
#include "tensor/io/text.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/data/grid.h"
#include "train/data/loader.h"
#include "train/data/prefetch.h"
#include "train/draws.h"
#include "train/patient_log.h"
#include "train/run_dir.h"
#include "train/validation.h"

namespace echodiff {
namespace {

// Where the pictures come from: a data set, or a recorded sequence of batches.
struct Data {
  std::optional<Dataset> dataset;
  std::optional<Loader> training, held_out;
  std::optional<Replay> replay;
};

Data open_data(const DiffusionFlags& flags, uint64_t seed, DenoiserRun* run) {
  Data data;
  if (!flags.replay.empty()) {
    data.replay.emplace(flags.replay, run->T);
    run->image_size = data.replay->image_size();
    for (int64_t p = 1; p < data.replay->planes(); ++p) run->planes.push_back("plane_" + std::to_string(p));
    run->planes.push_back("sector");
  } else {
    data.dataset =
        load_dataset({.directory = flags.data, .image_size = flags.image_size, .planes = flags.planes, .seed = seed});
    data.training.emplace(*data.dataset, "train", seed, flags.augment);
    data.held_out.emplace(*data.dataset, "val", seed, AugmentOptions());
    check_input(data.training->size() > 0, Fault::kBadInput, flags.data, ": no picture is in the train split");
    run->image_size = data.dataset->image_size;
    run->planes = data.dataset->plane_names;
  }
  run->options.planes = int64_t(run->planes.size());
  run->options.image_size = run->image_size;
  return data;
}

int64_t total_steps(const DiffusionFlags& flags, const Data& data) {
  if (data.replay) {
    const int64_t steps = flags.steps.value_or(data.replay->steps());
    check_input(steps <= data.replay->steps(), Fault::kUsage, "--steps: the replay holds ", data.replay->steps(),
                " steps, found ", steps);
    return steps;
  }
  const int64_t pictures_a_step = flags.batch * flags.accumulate;
  const int64_t samples = flags.epochs.value_or(200) * data.training->size();
  return flags.steps.value_or((samples + pictures_a_step - 1) / pictures_a_step);
}

// x_0 and c of one forward and backward pass.
Batch draw_pictures(const DiffusionFlags& flags, const Data& data, uint64_t seed, int64_t micro_step) {
  if (data.replay) return data.replay->batch(micro_step);
  const int64_t first = micro_step * flags.batch;
  Batch batch = data.training->draw(first, flags.batch);
  batch.condition = drop_organs(batch.condition, flags.mask_drop, seed_of(seed, Draw::mask_drop), uint64_t(first));
  return batch;
}
Tensor draw_t(const DiffusionFlags& flags, const Data& data, int64_t T, uint64_t seed, int64_t micro_step) {
  if (data.replay) return data.replay->times(micro_step);
  return draw_times(seed, Draw::time, micro_step * flags.batch, flags.batch, T);
}
Tensor draw_eps(const DiffusionFlags& flags, const Data& data, const Tensor& x_0, uint64_t seed, int64_t micro_step) {
  if (data.replay) return data.replay->noise(micro_step).to(x_0.device());
  return draw_noise(seed, Draw::noise, micro_step * flags.batch, x_0.shape(), x_0.device());
}

// Resuming under other options would silently give another run.
void require_same_run(const Metadata& saved, const Metadata& now, const std::string& path) {
  for (const auto& [key, value] : now) {
    if (key == "step") continue;
    // What an imported network was trained on has no names here, and it takes pictures of any size.
    if (saved.contains("imported") && (key == "seed" || key == "planes" || key == "image_size")) continue;
    const auto found = saved.find(key);
    check_input(found != saved.end() && found->second == value, Fault::kUsage, "--resume: ", path, " has ", key, " = ",
                found == saved.end() ? "nothing" : found->second, ", the flags say ", value,
                "; give the flags of the first run (--config RUN/config.toml)");
  }
}

// The resolved flags with one value replaced by what the data or --init said, so that --config gives the same run
// again.
std::string with_value(std::string toml, const std::string& key, const std::string& value) {
  for (const std::string& start : {"\n" + key + " = ", "\n# " + key + ": "}) {  // the second: unset
    const size_t at = toml.find(start);
    if (at != std::string::npos)
      return toml.replace(at, toml.find('\n', at + 1) - at, concat_message("\n", key, " = ", value));
  }
  return toml;
}

std::string config_text(const std::string& flags_toml, const DenoiserRun& run, int64_t steps, int64_t parameter_count) {
  const DenoiserOptions& net = run.options;
  std::string toml = with_value("\n" + flags_toml, "arch", "\"" + net.architecture + "\"");
  toml = with_value(toml, "dim", std::to_string(net.dim));
  toml = with_value(toml, "blocks", std::to_string(net.blocks));
  toml = with_value(toml, "condition", "\"" + net.condition + "\"");
  if (!net.attention_resolutions.empty())
    toml = with_value(toml, "attention-resolutions", "\"" + join(net.attention_resolutions) + "\"");
  toml = with_value(toml, "mults", "\"" + join(net.mults) + "\"");
  toml = with_value(toml, "heads", std::to_string(net.heads));
  toml = with_value(toml, "head-dim", std::to_string(net.head_dim));
  toml = with_value(toml, "image-size", std::to_string(run.image_size));
  return concat_message(toml.substr(1), "\n[resolved]\nplanes = \"", join(run.planes), "\"\nsteps = ", steps,
                        "\nparameters = ", parameter_count, "\n");
}

void describe(const Common& common, Denoiser& network, const DenoiserRun& run, bool every_tensor) {
  note(common, concat_message(run.options.architecture, " U-Net, dim ", run.options.dim, ", mults ",
                              join(run.options.mults), ", masks ", join(run.planes), " by ", run.options.condition,
                              ": ", network.parameter_count(), " parameters"));
  if (!every_tensor) return;
  for (const NamedTensor& parameter : network.parameters())
    note(common, concat_message(parameter.name, "  ", parameter.tensor.shape(), "  ", parameter.tensor.count()));
}

int train_diffusion(const DiffusionFlags& flags, const Common& common) {
  const uint64_t seed = common.seed;
  DenoiserRun run = flags.run();
  const Data data = open_data(flags, seed, &run);
  StateDict initial;
  if (!flags.init.empty()) {
    const InitialNetwork read = read_initial_network(flags, common);
    check_input(read.options.planes == int64_t(run.planes.size()), Fault::kBadInput, flags.init, ": its network takes ",
                read.options.planes, " masks, the data has ", run.planes.size(), " (", join(run.planes),
                "); choose others with --planes");
    initial = read.weights;
    run.options = read.options;
    run.options.image_size = run.image_size;
  }
  const int64_t steps = total_steps(flags, data);
  LearningRateOptions rate_options = flags.learning_rate;
  rate_options.total = steps;

  const RunDirectory directory(flags.out);
  const std::string found = latest_checkpoint(flags.out);
  check_input(found.empty() || flags.resume, Fault::kCannotCreate, flags.out,
              ": holds a run already; go on with --resume or choose another --out");

  std::optional<SafetensorsFile> saved;
  if (!found.empty()) {
    saved = read_checkpoint(found);
    check_input(saved->contains("train.step"), Fault::kBadInput, found,
                ": holds weights alone, no training state to go on from; begin a new run with --init ", flags.out);
    const DenoiserRun saved_run = denoiser_run(saved->metadata, found);
    adopt_saved_network(saved_run, common, &run);
    if (!common.given("--variance")) run.variance = saved_run.variance;
  }
  const Schedule schedule = make_schedule(run.schedule, run.T);
  const Device device = parse_device(common.device);
  Denoiser network(run.options, seed), averaged(run.options, seed);
  network.to(device);
  averaged.to(device);
  for (Denoiser* each : {&network, &averaged}) each->use_bf16(common.bf16);
  if (!initial.empty()) network.load_state_dict(initial);
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam optimizer(parameters, flags.adam());
  Ema ema(network.state_dict(), averaged.state_dict(), flags.ema);
  averaged.eval();

  Metadata metadata = to_metadata(run);
  metadata["seed"] = std::to_string(seed);
  int64_t first_step = 0;
  if (saved) {
    const SafetensorsFile& file = *saved;
    require_same_run(file.metadata, metadata, found);
    network.load_state_dict(raw_weights(file.tensors));
    optimizer.load_state(file, "train.");
    ema.load(file, "ema.", int64_t(file.at("train.ema_step").item()));
    first_step = int64_t(file.at("train.steps_done").item());
    saved.reset();
    note(common, concat_message("going on after step ", first_step, " of ", steps));
  }
  describe(common, network, run, flags.print_summary);
  directory.write_config(config_text(common.resolved_toml, run, steps, network.parameter_count()));

  PatientLog log(directory.file("log.jsonl"), first_step > 0 ? first_step : -1,
                 [&](const std::string& warning) { note(common, "warning: " + warning); });

  const auto save = [&](int64_t steps_done) {
    std::vector<NamedTensor> tensors = network.state_dict();
    const auto append = [&](const std::vector<NamedTensor>& more) {
      tensors.insert(tensors.end(), more.begin(), more.end());
    };
    append(add_prefix("ema.", ema.averaged()));
    append(add_prefix("train.", optimizer.state()));
    append({{"train.ema_step", full({}, double(ema.step()), DType::i64)},
            {"train.steps_done", full({}, double(steps_done), DType::i64)}});
    metadata["step"] = std::to_string(steps_done);
    save_checkpoint(flags.out, steps_done, tensors, metadata, flags.keep);
  };
  const auto save_or_warn = [&](int64_t steps_done) {
    try {
      save(steps_done);
    } catch (const Error& error) {
      if (error.fault() != Fault::kIo && error.fault() != Fault::kCannotCreate) throw;
      note(common, concat_message("warning: step ", steps_done, " is not saved: ", error.what(), "; training goes on"));
    }
  };

  const Loader* grid_source = data.held_out && data.held_out->size() > 0 ? &*data.held_out
                              : data.training                            ? &*data.training
                                                                         : nullptr;
  const auto draw_grid = [&](int64_t steps_done) {
    std::vector<int64_t> indices;
    for (int64_t i = 0; i < flags.sample_count; ++i) indices.push_back(i * grid_source->size() / flags.sample_count);
    const Tensor condition = grid_source->gather(indices).condition;
    network.eval();
    const Tensor there = condition.to(device);
    const Tensor raw = sample_grid(network, schedule, run.prediction, there, seed, flags.sample_steps);
    const Tensor smooth = sample_grid(averaged, schedule, run.prediction, there, seed, flags.sample_steps);
    network.train();
    std::vector<std::vector<GrayImage>> rows(3);
    for (int64_t n = 0; n < flags.sample_count; ++n) {
      rows[0].push_back(mask_image(condition, n));
      rows[1].push_back(gray_image(raw, n));
      rows[2].push_back(gray_image(smooth, n));
    }
    char name[64];
    std::snprintf(name, sizeof name, "samples/step-%08lld.png", static_cast<long long>(steps_done));
    try {
      write_png(directory.file(name), tile(rows));
    } catch (const Error& error) {
      note(common, concat_message("warning: ", error.what(), "; training goes on"));
    }
  };

  const StepTensors pictures = drawn_ahead(
      [&](int64_t micro_step) {
        const Batch batch = draw_pictures(flags, data, seed, micro_step);
        return std::vector<Tensor>{batch.x_0, batch.condition};
      },
      steps * flags.accumulate, device);

  // The losses of one step's passes, with their gradient added to the parameters'.
  const auto forward_backward = [&](int64_t step) {
    optimizer.zero_grad();
    std::vector<Tensor> losses;
    for (int64_t micro = 0; micro < flags.accumulate; ++micro) {
      const int64_t micro_step = step * flags.accumulate + micro;
      const std::vector<Tensor> drawn = pictures(micro_step);
      const Tensor &x_0 = drawn[0], &c = drawn[1];
      const Tensor t = draw_t(flags, data, run.T, seed, micro_step);  // stays: it picks from tables of the host
      const Tensor eps = draw_eps(flags, data, x_0, seed, micro_step);
      if (flags.dropout > 0) network.seed_dropout(seed_of(seed, Draw::dropout) + uint64_t(micro_step));
      const Tensor x_t = q_sample(schedule, x_0, t, eps);
      const Tensor target = training_target(schedule, run.prediction, x_0, t, eps);
      const Tensor output = network(x_t, t, c);
      const Tensor loss =
          diffusion_loss(schedule, run.prediction, output, target, t, flags.min_snr_gamma.value_or(kNoMinSnr));
      losses.push_back(loss.detach());
      (flags.accumulate == 1 ? loss : loss * (1.0 / double(flags.accumulate))).backward();
    }
    return losses;
  };

  // Runs the step again with every op watched, to say where the first bad number comes from.
  const auto stop_at_bad_number = [&](int64_t step, double loss, double norm, double rate) {
    std::string cause = "no op made it: the update itself overflowed";
    try {
      const NanTrap trap;
      forward_backward(step);
    } catch (const Error& error) {
      cause = error.what();
    }
    const int64_t pictures = flags.batch * flags.accumulate;
    throw Error(Fault::kInternal,
                concat_message("step ", step + 1, ": expected finite numbers, found loss ", loss, ", gradient norm ",
                               norm, " at lr ", rate, " (", cause, ")",
                               data.training ? "; pictures " + data.training->files(step * pictures, pictures) : "",
                               "; nothing of it is saved; lower --lr or --clip and go on with --resume"));
  };

  network.train();
  double loss = 0, norm = 0;  // of the last step that was watched
  Progress progress("training", steps, "steps", common.quiet, first_step);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  for (int64_t step = first_step; step < steps; ++step) {
    const double rate = learning_rate(rate_options, step);
    const int64_t done = step + 1;
    const bool last = done == steps;
    const std::vector<Tensor> losses = forward_backward(step);
    const Tensor norm_there = clip_grad_norm(parameters, flags.clip);
    // On cuda nobody waits for the numbers of a step that is not logged; a bad one is found at the next that is.
    const bool watched = device == Device::kCpu || done % flags.log_every == 0 || last;
    if (watched) {
      loss = 0;
      for (const Tensor& one : losses) loss += one.item() / double(flags.accumulate);
      norm = norm_there.item();
      if (!std::isfinite(loss) || !std::isfinite(norm)) stop_at_bad_number(step, loss, norm, rate);
    }
    optimizer.step(rate);
    if (watched && !optimizer.finite()) stop_at_bad_number(step, loss, norm, rate);
    ema.update();

    if (done % flags.log_every == 0) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      log.write(
          done,
          {{"loss", loss}, {"grad_norm", norm}, {"lr", rate}, {"seconds", std::round(elapsed.count() * 1000) / 1000}});
    }
    progress.update(done, concat_message("loss ", loss));
    const bool stopping = interrupted();
    if (stopping) save(done);  // before anything slow: a second signal kills
    if (flags.val_every > 0 && done % flags.val_every == 0 && data.held_out && data.held_out->size() > 0) {
      const Validation validation = validate(network, schedule, run.prediction, *data.held_out, seed, flags.val_count);
      log.write(done, {{"val_loss", validation.loss}, {"val_bins", validation.bins}});
    }
    if (stopping) {
      log.finish();
      note(common, concat_message("interrupted: step ", done, " of ", steps, " is saved; go on with --resume"));
      return interrupt_exit_code();
    }
    if (flags.sample_every > 0 && (done % flags.sample_every == 0 || last) && grid_source) draw_grid(done);
    if (last)
      save(done);
    else if (done % flags.save_every == 0)
      save_or_warn(done);
  }
  log.finish();
  return 0;
}

}  // namespace

void add_diffusion(Options& program) {
  Options& options = program.subcommand("diffusion", "Trains the diffusion model.",
                                        "dtrain diffusion --data DIR --out RUN --image-size 64 --epochs 200");
  const std::shared_ptr<DiffusionFlags> flags = std::make_shared<DiffusionFlags>();
  add_flags(options, *flags);
  options.runs_on_cuda();
  options.body([flags](const Common& common) { return train_diffusion(*flags, common); });
}

}  // namespace echodiff
