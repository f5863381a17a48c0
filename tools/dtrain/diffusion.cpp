// dtrain diffusion: algorithm 1 of Ho et al. 2020 (arXiv:2006.11239), conditioned on masks c.
//
//   repeat:  x_0, c ~ q(x_0, c);  t ~ Uniform{0..T-1};  eps ~ N(0, I)
//            take a gradient step on || target - net(sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t, c) ||^2
//
// The repeated part is in train_diffusion(), the gradient in forward_backward(). Every random number is a function of
// (seed, number of the sample), so a resumed run equals the unbroken one bit for bit.
#include <chrono>
#include <cmath>
#include <optional>

#include "diffusion/condition.h"
#include "dtrain/diffusion_data.h"
#include "dtrain/dtrain.h"
#include "dtrain/flags.h"
#include "dtrain/init.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/data/grid.h"
#include "train/data/prefetch.h"
#include "train/draws.h"
#include "train/folder/split.h"
#include "train/run_dir.h"
#include "train/run_log.h"
#include "train/validation.h"

namespace echodiff {
namespace {

int64_t total_steps(const DiffusionFlags& flags, const DiffusionData& data) {
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

// What the loop goes by and changes.
struct DiffusionTraining {
  const DiffusionFlags& flags;
  const Common& common;
  const DiffusionData& data;
  int64_t steps, first_step;  // all, and those done before
  DenoiserRun run;
  Schedule schedule;
  Device device;
  Denoiser network, averaged;
  std::vector<NamedTensor> parameters;  // of the network
  Adam optimizer;
  Ema ema;
};

// The flags with one value replaced by what the data or --init said, so that --config gives the same run again.
std::string with_value(std::string toml, const std::string& key, const std::string& value) {
  for (const std::string& start : {"\n" + key + " = ", "\n# " + key + ": "}) {  // the second: unset
    const size_t at = toml.find(start);
    if (at != std::string::npos)
      return toml.replace(at, toml.find('\n', at + 1) - at, concat_message("\n", key, " = ", value));
  }
  return toml;
}

std::string config_text(DiffusionTraining& training) {
  const DenoiserOptions& net = training.run.options;
  std::string toml = with_value("\n" + training.common.resolved_toml, "arch", toml_string(net.architecture));
  toml = with_value(toml, "dim", std::to_string(net.dim));
  toml = with_value(toml, "blocks", std::to_string(net.blocks));
  toml = with_value(toml, "condition", toml_string(net.condition));
  if (!net.attention_resolutions.empty())
    toml = with_value(toml, "attention-resolutions", toml_string(join(net.attention_resolutions)));
  toml = with_value(toml, "mults", toml_string(join(net.mults)));
  toml = with_value(toml, "heads", std::to_string(net.heads));
  toml = with_value(toml, "head-dim", std::to_string(net.head_dim));
  toml = with_value(toml, "image-size", std::to_string(training.run.image_size));
  toml = with_value(toml, "schedule", toml_string(name_of(training.run.schedule)));
  toml = with_value(toml, "predict", toml_string(name_of(training.run.prediction)));
  toml = with_value(toml, "timesteps", std::to_string(training.run.T));
  toml = with_value(toml, "fit", toml_string(name_of(training.run.fit)));
  return toml.substr(1) + "\n[resolved]\n" + toml_text_line("planes", join(training.run.planes)) +
         toml_line("steps", std::to_string(training.steps)) +
         toml_line("parameters", std::to_string(training.network.parameter_count()));
}

void describe(DiffusionTraining& training) {
  const DenoiserOptions& net = training.run.options;
  note(training.common, concat_message(net.architecture, " U-Net, dim ", net.dim, ", mults ", join(net.mults),
                                       ", masks ", join(training.run.planes), " by ", net.condition, ": ",
                                       training.network.parameter_count(), " parameters"));
  if (!training.flags.print_summary) return;
  for (const auto& [name, tensor] : training.parameters)
    note(training.common, concat_message(name, "  ", tensor.shape(), "  ", tensor.count()));
}

Metadata metadata_of(const DiffusionTraining& training) {
  Metadata metadata = to_metadata(training.run);
  metadata["seed"] = std::to_string(training.common.seed);
  return metadata;
}

// Takes over what the checkpoint holds. Returns the steps it has had.
int64_t go_on(const SafetensorsFile& saved, DiffusionTraining& training) {
  Metadata facts = metadata_of(training);
  // What an imported network was trained on has no names here, and it takes pictures of any size.
  if (saved.metadata.contains("imported"))
    for (const char* key : {"seed", "planes", "image_size"}) facts.erase(key);
  require_same_facts(saved, facts);
  training.network.load_state_dict(raw_weights(saved.tensors));
  training.optimizer.load_state(saved, "train.");
  training.ema.load(saved, "ema.", int64_t(saved.at("train.ema_step").item()));
  const int64_t steps_done = int64_t(saved.at("train.steps_done").item());
  note(training.common, concat_message("going on after step ", steps_done, " of ", training.steps));
  return steps_done;
}

// The networks and the optimiser before the first of `steps`, or as the newest checkpoint of --out has them.
DiffusionTraining begin_training(const DiffusionFlags& flags, const Common& common, const DiffusionData& data,
                                 DenoiserRun run, const StateDict& initial, int64_t steps) {
  const std::optional<SafetensorsFile> saved = checkpoint_to_resume(flags.out, flags.resume);
  if (saved) {
    check_input(saved->contains("train.step"), Fault::kBadInput, saved->path,
                ": holds weights alone, no training state to go on from; begin a new run with --init ", flags.out);
    const DenoiserRun saved_run = denoiser_run(saved->metadata, saved->path);
    adopt_saved_network(saved_run, common, &run);
    if (!common.given("--variance")) run.variance = saved_run.variance;
  }
  const Device device = parse_device(common.device);
  Denoiser network(run.options, common.seed), averaged(run.options, common.seed);
  for (Denoiser* each : {&network, &averaged}) {
    each->to(device);
    each->use_bf16(common.bf16);
  }
  if (!initial.empty()) network.load_state_dict(initial);
  averaged.eval();
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam optimizer(parameters, flags.adam());
  Ema ema(network.state_dict(), averaged.state_dict(), flags.ema);
  const Schedule schedule = make_schedule(run.schedule, run.T);
  DiffusionTraining training{flags,
                             common,
                             data,
                             steps,
                             0,
                             run,
                             schedule,
                             device,
                             std::move(network),
                             std::move(averaged),
                             parameters,
                             std::move(optimizer),
                             std::move(ema)};
  if (saved) training.first_step = go_on(*saved, training);
  describe(training);
  return training;
}

void save(DiffusionTraining& training, int64_t steps_done) {
  std::vector<NamedTensor> tensors = training.network.state_dict();
  for (const NamedTensor& tensor : add_prefix("ema.", training.ema.averaged())) tensors.push_back(tensor);
  for (const NamedTensor& tensor : add_prefix("train.", training.optimizer.state())) tensors.push_back(tensor);
  tensors.push_back({"train.ema_step", full({}, double(training.ema.step()), DType::i64)});
  tensors.push_back({"train.steps_done", full({}, double(steps_done), DType::i64)});
  Metadata metadata = metadata_of(training);
  metadata["step"] = std::to_string(steps_done);
  save_checkpoint(training.flags.out, steps_done, tensors, metadata, training.flags.keep);
}

// Where the disk does not take it, training goes on.
void save_or_warn(DiffusionTraining& training, int64_t steps_done) {
  try {
    save(training, steps_done);
  } catch (const Error& error) {
    if (error.fault() != Fault::kIo && error.fault() != Fault::kCannotCreate) throw;
    note(training.common,
         concat_message("warning: step ", steps_done, " is not saved: ", error.what(), "; training goes on"));
  }
}

// samples/step-N.png: masks, held out where any are, and what the raw and the averaged network make of them now.
void draw_grid(DiffusionTraining& training, const RunDirectory& directory, int64_t steps_done) {
  const DiffusionData& data = training.data;
  if (!data.training) return;
  const Loader& source = data.held_out->size() > 0 ? *data.held_out : *data.training;
  const int64_t count = training.flags.sample_count;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * source.size() / count);
  const Tensor condition = source.gather(indices).condition, there = condition.to(training.device);
  const auto drawn_by = [&](const Denoiser& network) {
    return sample_grid(network, training.schedule, training.run.prediction, there, training.common.seed,
                       training.flags.sample_steps);
  };
  training.network.eval();
  const Tensor raw = drawn_by(training.network), smooth = drawn_by(training.averaged);
  training.network.train();
  std::vector<std::vector<GrayImage>> rows(3);
  for (int64_t n = 0; n < count; ++n) {
    rows[0].push_back(mask_image(condition, n));
    rows[1].push_back(gray_image(raw, n));
    rows[2].push_back(gray_image(smooth, n));
  }
  char name[64];
  std::snprintf(name, sizeof name, "samples/step-%08lld.png", static_cast<long long>(steps_done));
  try {
    write_png(directory.file(name), tile(rows));
  } catch (const Error& error) {
    note(training.common, concat_message("warning: ", error.what(), "; training goes on"));
  }
}

// x_0 and c of one forward and backward pass.
std::vector<Tensor> draw_pictures(const DiffusionTraining& training, int64_t micro_step) {
  const DiffusionFlags& flags = training.flags;
  const std::optional<Replay>& replay = training.data.replay;
  const int64_t first = micro_step * flags.batch;
  const Batch batch = replay ? replay->batch(micro_step) : training.data.training->draw(first, flags.batch);
  if (replay) return {batch.x_0, batch.condition};
  const uint64_t seed = seed_of(training.common.seed, Draw::mask_drop);
  return {batch.x_0, drop_organs(batch.condition, flags.mask_drop, seed, uint64_t(first))};
}
Tensor draw_t(const DiffusionTraining& training, int64_t micro_step) {
  if (training.data.replay) return training.data.replay->times(micro_step);
  const int64_t batch = training.flags.batch;
  return draw_times(training.common.seed, Draw::time, micro_step * batch, batch, training.run.T);
}
Tensor draw_eps(const DiffusionTraining& training, const Tensor& x_0, int64_t micro_step) {
  if (training.data.replay) return training.data.replay->noise(micro_step).to(x_0.device());
  const int64_t first = micro_step * training.flags.batch;
  return draw_noise(training.common.seed, Draw::noise, first, x_0.shape(), x_0.device());
}

// The losses of one step's passes, with their gradient added to the parameters'.
std::vector<Tensor> forward_backward(DiffusionTraining& training, const StepTensors& pictures, int64_t step) {
  const DiffusionFlags& flags = training.flags;
  const Schedule& schedule = training.schedule;
  const Prediction prediction = training.run.prediction;
  training.optimizer.zero_grad();
  std::vector<Tensor> losses;
  for (int64_t micro = 0; micro < flags.accumulate; ++micro) {
    const int64_t micro_step = step * flags.accumulate + micro;
    const std::vector<Tensor> drawn = pictures(micro_step);
    const Tensor &x_0 = drawn[0], &c = drawn[1];
    const Tensor t = draw_t(training, micro_step);  // stays: it picks from tables of the host
    const Tensor eps = draw_eps(training, x_0, micro_step);
    if (flags.model.options.dropout > 0)
      training.network.seed_dropout(seed_of(training.common.seed, Draw::dropout) + uint64_t(micro_step));
    const Tensor x_t = q_sample(schedule, x_0, t, eps);
    const Tensor target = training_target(schedule, prediction, x_0, t, eps);
    const Tensor output = training.network(x_t, t, c);
    const double gamma = flags.min_snr_gamma.value_or(kNoMinSnr);
    const Tensor loss = diffusion_loss(schedule, prediction, output, target, t, gamma);
    losses.push_back(loss.detach());
    (flags.accumulate == 1 ? loss : loss * (1.0 / double(flags.accumulate))).backward();
  }
  return losses;
}

double mean_of(const std::vector<Tensor>& losses) {
  double mean = 0;
  for (const Tensor& loss : losses) mean += loss.item() / double(losses.size());
  return mean;
}

// Runs the step again with every op watched, to say where the first bad number comes from.
[[noreturn]] void stop_at_bad_number(DiffusionTraining& training, const StepTensors& pictures, int64_t step,
                                     double loss, double norm, double rate) {
  std::string cause = "no op made it: the update itself overflowed";
  try {
    const NanTrap trap;
    forward_backward(training, pictures, step);
  } catch (const Error& error) {
    cause = error.what();
  }
  const int64_t count = training.flags.batch * training.flags.accumulate;
  const std::optional<Loader>& loader = training.data.training;
  throw Error(Fault::kInternal,
              concat_message("step ", step + 1, ": expected finite numbers, found loss ", loss, ", gradient norm ",
                             norm, " at lr ", rate, " (", cause, ")",
                             loader ? "; pictures " + loader->files(step * count, count) : "",
                             "; nothing of it is saved; lower --lr or --clip and go on with --resume"));
}

void log_held_out_loss(DiffusionTraining& training, int64_t done, PatientLog& log) {
  const std::optional<Loader>& held_out = training.data.held_out;
  if (!held_out || held_out->size() == 0) return;
  const Validation validation = validate(training.network, training.schedule, training.run.prediction, *held_out,
                                         training.common.seed, training.flags.val_count);
  log.write(done, {{"val_loss", validation.loss}, {"val_bins", validation.bins}});
}

int train_diffusion(const DiffusionFlags& flags, const Common& common) {
  DenoiserRun run = flags.run();
  const std::optional<DenoiserRun> earlier = earlier_run(flags);
  if (earlier) adopt_run(*earlier, flags, common, &run);
  const DiffusionData data = open_data(flags, common, earlier, &run);
  const StateDict initial = initial_weights(flags, common, &run);
  const int64_t steps = total_steps(flags, data);
  const RunDirectory directory(flags.out);
  DiffusionTraining training = begin_training(flags, common, data, run, initial, steps);
  const int64_t first_step = training.first_step;
  LearningRateOptions rates = flags.learning_rate;
  rates.total = steps;
  if (data.dataset) {
    if (first_step > 0) require_same_split(flags.out, *data.dataset, flags.data);
    if (first_step > 0 && !keeps_split(flags.out))
      note(common, concat_message("warning: ", flags.out, " keeps no split.csv, so what it held out isn't known; from ",
                                  "now on that is what ", flags.data, " says"));
    keep_split(flags.out, *data.dataset);
  }
  directory.write_config(config_text(training));
  PatientLog log(directory.file("log.jsonl"), first_step > 0 ? first_step : -1,
                 [&](const std::string& warning) { note(common, "warning: " + warning); });
  const StepTensors pictures = drawn_ahead([&](int64_t micro_step) { return draw_pictures(training, micro_step); },
                                           steps * flags.accumulate, training.device);
  training.network.train();
  double loss = 0, norm = 0;  // of the last step that was watched
  Progress progress("training", steps, "steps", common.quiet, first_step);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  for (int64_t step = first_step; step < steps; ++step) {
    const double rate = learning_rate(rates, step);
    const int64_t done = step + 1;
    const bool last = done == steps, logged = done % flags.log_every == 0;
    const std::vector<Tensor> losses = forward_backward(training, pictures, step);
    const Tensor norm_there = clip_grad_norm(training.parameters, flags.clip);
    // On cuda nobody waits for the numbers of a step that is not logged; a bad one is found at the next that is.
    const bool watched = training.device == Device::kCpu || logged || last;
    if (watched) loss = mean_of(losses), norm = norm_there.item();
    const bool usable = std::isfinite(loss) && std::isfinite(norm);
    if (usable) training.optimizer.step(rate);
    if (watched && !(usable && training.optimizer.finite()))
      stop_at_bad_number(training, pictures, step, loss, norm, rate);
    training.ema.update();

    if (logged) {
      const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
      const double seconds = std::round(elapsed.count() * 1000) / 1000;
      log.write(done, {{"loss", loss}, {"grad_norm", norm}, {"lr", rate}, {"seconds", seconds}});
    }
    progress.update(done, concat_message("loss ", loss));
    const bool stopping = interrupted();
    if (stopping) save(training, done);  // before anything slow: a second signal kills
    if (flags.val_every > 0 && done % flags.val_every == 0) log_held_out_loss(training, done, log);
    if (stopping) {
      log.finish();
      note(common, concat_message("interrupted: step ", done, " of ", steps, " is saved; go on with --resume"));
      return interrupt_exit_code();
    }
    if (flags.sample_every > 0 && (done % flags.sample_every == 0 || last)) draw_grid(training, directory, done);
    if (last)
      save(training, done);
    else if (done % flags.save_every == 0)
      save_or_warn(training, done);
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
