// dtrain diffusion: algorithm 1 of Ho et al. 2020 (arXiv:2006.11239), conditioned on masks c.
//
//   repeat:  x_0, c ~ q(x_0, c);  t ~ Uniform{0..T-1};  eps ~ N(0, I)
//            take a gradient step on || target - net(sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t, c) ||^2
//
// The repeated part is in train_diffusion(), the gradient in forward_backward(). Every random number is a function of
// (seed, number of the sample), so a resumed run equals the unbroken one bit for bit.
#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "diffusion/condition.h"
#include "dtrain/diffusion_training.h"
#include "dtrain/diffusion_validation.h"
#include "dtrain/dtrain.h"
#include "dtrain/init.h"
#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "train/data/grid.h"
#include "train/data/prefetch.h"
#include "train/draws.h"
#include "train/folder/split.h"

namespace echodiff {
namespace {

std::string grid_name(int64_t steps_done) {
  char name[64];
  std::snprintf(name, sizeof name, "samples/step-%08lld.png", static_cast<long long>(steps_done));
  return name;
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
  try {
    const GrayImage grid = tile(rows);
    const std::string png = encode_png(grid);
    write_file_atomic(directory.file(grid_name(steps_done)), png);
    if (training.events) training.events->add_png(steps_done, "samples", png, grid.height, grid.width);
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
  const Tensor condition = drop_organs(batch.condition, flags.mask_drop, seed, uint64_t(first));
  return {batch.x_0, batch.labels ? with_labels(condition, batch.labels) : condition};
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

// What is due after `done` steps: the held-out loss and the sample picture. `missing`: what a run that was broken off
// before it came to them has not left.
void look(DiffusionTraining& training, const RunDirectory& directory, int64_t done, PatientLog& log, bool missing) {
  const DiffusionFlags& flags = training.flags;
  if (flags.val_every > 0 && done % flags.val_every == 0 && !(missing && training.watch.step == done))
    validate_now(training, log, done, missing && last_logged(directory.file("log.jsonl"), "val_loss") == done);
  const bool last = done == training.steps, drawn = missing && std::filesystem::exists(directory.file(grid_name(done)));
  if (flags.sample_every > 0 && (done % flags.sample_every == 0 || last) && !drawn)
    draw_grid(training, directory, done);
}

// To the millisecond.
double seconds_since(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return std::round(elapsed.count() * 1000) / 1000;
}

void save_where_due(DiffusionTraining& training, PatientLog& log, int64_t done) {
  if (done == training.steps)
    save(training, log, done);
  else if (done % training.flags.save_every == 0)
    save_or_warn(training, log, done);
}

// Saves the state after `done` steps; returns the exit code.
int stop_after(DiffusionTraining& training, PatientLog& log, int64_t done) {
  save(training, log, done);
  log.finish();
  note(training.common,
       concat_message("interrupted: step ", done, " of ", training.steps, " is saved; go on with --resume"));
  return interrupt_exit_code();
}

// Ends training before its last step: says why, in the log too, and saves. Returns the exit code.
int finish_early(DiffusionTraining& training, PatientLog& log, int64_t done, const std::string& reason) {
  if (last_logged(training.flags.out + "/log.jsonl", "stopped") != done) log.write(done, {{"stopped", reason}});
  snapshot_or_warn(training, done);
  save(training, log, done);
  log.finish();
  note(training.common,
       concat_message(training.flags.out, ": finished after step ", done, " of ", training.steps, ", by --stop-on ",
                      training.flags.stop_on, ": ", reason, "; --resume --stop-on never goes on"));
  return 0;
}

// What is held out stays held out: the run has the lists, and one that goes on must find the same.
void keep_lists(const DiffusionFlags& flags, const Common& common, const Dataset& data, int64_t first_step) {
  if (first_step > 0) require_same_split(flags.out, data, flags.data);
  if (first_step > 0 && !keeps_split(flags.out))
    note(common, concat_message("warning: ", flags.out, " keeps no split.csv, so what it held out isn't known; from ",
                                "now on that is what ", flags.data, " says"));
  keep_split(flags.out, data);
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
  training.events = open_events(flags.tensorboard, flags.out, first_step, common);
  LearningRateOptions rates = flags.learning_rate;
  rates.total = steps;
  if (data.dataset) keep_lists(flags, common, *data.dataset, first_step);
  directory.write_config(config_text(training));
  check_log(directory.file("log.jsonl"), first_step, flags.log_every, common);
  PatientLog log(
      directory.file("log.jsonl"), first_step > 0 ? first_step : -1,
      [&](const std::string& warning) { note(common, "warning: " + warning); }, training.events);
  const StepTensors pictures = drawn_ahead([&](int64_t micro_step) { return draw_pictures(training, micro_step); },
                                           steps * flags.accumulate, training.device);
  training.network.train();
  double loss = 0, norm = 0;  // of the last step that was watched
  Progress progress("training", steps, "steps", common.quiet, first_step);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const auto looked = [&](int64_t done, bool missing) {
    return unless_stopped(training.device, [&] { look(training, directory, done, log, missing); });
  };
  if (first_step > 0 && !looked(first_step, true)) return stop_after(training, log, first_step);
  if (const std::string enough = reason_to_stop(training); first_step < steps && !enough.empty())
    return finish_early(training, log, first_step, enough);
  for (int64_t step = first_step; step < steps; ++step) {
    const double rate = learning_rate(rates, step);
    const int64_t done = step + 1;
    const bool last = done == steps, logged = done % flags.log_every == 0;
    std::vector<Tensor> losses;
    if (!unless_stopped(training.device, [&] { losses = forward_backward(training, pictures, step); }))
      return stop_after(training, log, step);
    const Tensor norm_there = clip_grad_norm(training.parameters, flags.clip);
    // On cuda nobody waits for the numbers of a step that is not logged; a bad one is found at the next that is.
    const bool watched = training.device == Device::kCpu || logged || last;
    if (watched) loss = mean_of(losses), norm = norm_there.item();
    const bool usable = std::isfinite(loss) && std::isfinite(norm);
    if (usable) training.optimizer.step(rate);
    if (watched && !(usable && training.optimizer.finite()))
      stop_at_bad_number(training, pictures, step, loss, norm, rate);
    training.ema.update();
    for (Ema& average : training.power_emas) average.update();
    if (last || (flags.ema_snapshots > 0 && done % flags.ema_snapshots == 0)) snapshot_or_warn(training, done);

    if (logged) log.write(done, {{"loss", loss}, {"grad_norm", norm}, {"lr", rate}, {"seconds", seconds_since(start)}});
    progress.update(done, concat_message("loss ", loss));
    if (interrupted() || !looked(done, false)) return stop_after(training, log, done);
    if (const std::string enough = reason_to_stop(training); !last && !enough.empty())
      return finish_early(training, log, done, enough);
    save_where_due(training, log, done);
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
