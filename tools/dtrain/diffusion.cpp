// dtrain diffusion: algorithm 1 of Ho et al. 2020 (arXiv:2006.11239), conditioned on masks c.
//
//   repeat:  x_0, c ~ q(x_0, c);  t ~ Uniform{0..T-1};  eps ~ N(0, I)
//            take a gradient step on || target - net(sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, t, c) ||^2
//
// The repeated part is in train_diffusion(), the gradient in forward_backward(). Every random number is a function of
// (seed, number of the sample), so a resumed run equals the unbroken one bit for bit.
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>

#include "diffusion/condition.h"
#include "dtrain/diffusion_training.h"
#include "dtrain/diffusion_validation.h"
#include "dtrain/dtrain.h"
#include "dtrain/init.h"
#include "dtrain/ranks.h"
#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "kernels/memory_pool.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "tensor/recompute.h"
#include "train/checkpoint.h"
#include "train/data/grid.h"
#include "train/data/prefetch.h"
#include "train/draws.h"
#include "train/folder/split.h"
#include "train/parallel/micro_batches.h"
#include "train/validation.h"

namespace echodiff {
namespace {

std::string grid_name(int64_t steps_done) {
  char name[64];
  std::snprintf(name, sizeof name, "samples/step-%08lld.png", static_cast<long long>(steps_done));
  return name;
}

// Masks, held out where any are, and what the raw and the averaged network make of them now, in so many DDIM steps.
std::vector<std::vector<GrayImage>> grid_rows(DiffusionTraining& training, int64_t ddim_steps) {
  const DiffusionData& data = training.data;
  const Loader& source = data.held_out->size() > 0 ? *data.held_out : *data.training;
  const int64_t count = training.flags.sample_count;
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * source.size() / count);
  const Tensor condition = source.gather(indices).condition, there = condition.to(training.device);
  const auto drawn_by = [&](const Denoiser& network) {
    return sample_grid(network, training.schedule, training.run.prediction, there, training.common.seed, ddim_steps);
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
  return rows;
}

// samples/step-N.png.
void draw_grid(DiffusionTraining& training, const RunDirectory& directory, int64_t steps_done) {
  if (!training.data.training) return;
  const std::vector<std::vector<GrayImage>> rows = grid_rows(training, training.flags.sample_steps);
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
  const int64_t first = micro_step * flags.pictures();
  const Batch batch = replay ? replay->batch(micro_step) : training.data.training->draw(first, flags.pictures());
  if (replay) return {batch.x_0, batch.condition};
  const uint64_t seed = seed_of(training.common.seed, Draw::mask_drop);
  const Tensor condition = drop_organs(batch.condition, flags.mask_drop, seed, uint64_t(first));
  return {batch.x_0, batch.labels ? with_labels(condition, batch.labels) : condition};
}
Tensor draw_t(const DiffusionTraining& training, int64_t micro_step) {
  if (training.data.replay) return training.data.replay->times(micro_step);
  const int64_t count = training.flags.pictures();
  return draw_times(training.common.seed, Draw::time, micro_step * count, count, training.run.T);
}
Tensor draw_eps(const DiffusionTraining& training, const Tensor& x_0, int64_t micro_step) {
  if (training.data.replay) return training.data.replay->noise(micro_step).to(x_0.device());
  const int64_t first = micro_step * training.flags.pictures();
  return draw_noise(training.common.seed, Draw::noise, first, x_0.shape(), x_0.device());
}

// The loss of one pass, number `micro_step` of the run.
Tensor loss_of(DiffusionTraining& training, const std::vector<Tensor>& drawn, int64_t micro_step) {
  const Schedule& schedule = training.schedule;
  const Prediction prediction = training.run.prediction;
  const Tensor &x_0 = drawn[0], &c = drawn[1];
  const Tensor t = draw_t(training, micro_step);  // stays: it picks from tables of the host
  const Tensor eps = draw_eps(training, x_0, micro_step);
  if (training.flags.model.options.dropout > 0)
    training.network.seed_dropout(seed_of(training.common.seed, Draw::dropout) + uint64_t(micro_step));
  const Tensor x_t = q_sample(schedule, x_0, t, eps);
  const Tensor target = training_target(schedule, prediction, x_0, t, eps);
  const Tensor output = training.network(x_t, t, c);
  const double gamma = training.flags.min_snr_gamma.value_or(kNoMinSnr);
  return diffusion_loss(schedule, prediction, output, target, t, gamma);
}

// What the passes of this rank are made from, drawn ahead where that pays: pictures(micro_step), in its own order.
StepTensors drawn_for(const DiffusionTraining& training) {
  const int64_t passes = training.flags.passes();
  const OwnMicroBatches part = own_micro_batches(training.ranks, passes);
  const StepTensors own =
      drawn_ahead([&training, part, passes](
                      int64_t n) { return draw_pictures(training, n / part.own * passes + part.first + n % part.own); },
                  training.steps * part.own, training.device);
  return [own, part, passes](int64_t micro_step) {
    return own(micro_step / passes * part.own + micro_step % passes - part.first);
  };
}

// The losses of one step's passes, with the gradient of their mean in the parameters.
std::vector<Tensor> forward_backward(DiffusionTraining& training, const StepTensors& pictures, int64_t step) {
  const int64_t passes = training.flags.passes();
  const Recompute recompute(training.flags.checkpoint_activations);
  return backward_micro_batches(training.ranks, passes, training.parameters, {}, [&](int64_t pass) {
    const int64_t micro_step = step * passes + pass;
    return loss_of(training, pictures(micro_step), micro_step);
  });
}

double mean_of(const std::vector<Tensor>& losses) {
  double mean = 0;
  for (const Tensor& loss : losses) mean += loss.item() / double(losses.size());
  return mean;
}

struct StepNumbers {
  double loss = 0, norm = 0, rate = 0;  // loss, norm: of the last step that was watched
};

// Runs the step again with every op watched, to say where the first bad number comes from.
[[noreturn]] void stop_at_bad_number(DiffusionTraining& training, const StepTensors& pictures, int64_t step,
                                     const StepNumbers& numbers) {
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
              concat_message("step ", step + 1, ": expected finite numbers, found loss ", numbers.loss,
                             ", gradient norm ", numbers.norm, " at lr ", numbers.rate, " (", cause, ")",
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

// One step, and what is logged of it. false: a signal came in its midst, and the step is as if not begun. Several ranks
// go through with a step, as long as all are there: each waits for the others.
bool take_step(DiffusionTraining& training, const StepTensors& pictures, int64_t step, StepNumbers* numbers) {
  const DiffusionFlags& flags = training.flags;
  const bool last = step + 1 == training.steps, logged = (step + 1) % flags.log_every == 0;
  const bool stoppable = training.ranks.size() == 1 && training.device == Device::kCpu;
  std::vector<Tensor> losses;
  if (!unless_stopped(stoppable, [&] { losses = forward_backward(training, pictures, step); })) return false;
  const Tensor norm = clip_grad_norm(training.parameters, flags.clip);
  numbers->rate = learning_rate(training.rates, step);
  // On cuda nobody waits for the numbers of a step that is not logged; a bad one is found at the next that is.
  const bool watched = training.device == Device::kCpu || logged || last;
  if (watched) numbers->loss = mean_of(losses), numbers->norm = norm.item();
  const bool usable = std::isfinite(numbers->loss) && std::isfinite(numbers->norm);
  if (usable) training.optimizer.step(numbers->rate);
  if (watched && !(usable && training.optimizer.finite())) stop_at_bad_number(training, pictures, step, *numbers);
  return true;
}

void update_averages(DiffusionTraining& training) {
  training.ema.update();
  for (Ema& average : training.power_emas) average.update();
}

// What every rank but the first does: its share of each step, until the first says that there is no other.
int follow_first_rank(DiffusionTraining& training) {
  const StepTensors pictures = drawn_for(training);
  training.network.train();
  StepNumbers numbers;
  for (int64_t step = training.first_step; step < training.steps; ++step)
    if (!training.ranks.all(!interrupted()) || !take_step(training, pictures, step, &numbers)) break;
  return interrupted() ? interrupt_exit_code() : 0;
}

// The steps from the first on, and what is due between them. Returns the exit code.
int train_on(DiffusionTraining& training, const RunDirectory& directory, PatientLog& log) {
  const DiffusionFlags& flags = training.flags;
  const int64_t first_step = training.first_step, steps = training.steps;
  const StepTensors pictures = drawn_for(training);
  training.network.train();
  StepNumbers numbers;
  Progress progress("training", steps, "steps", training.common.quiet, first_step);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const auto looked = [&](int64_t done, bool missing) {
    return !interrupted() && unless_stopped(training.device, [&] { look(training, directory, done, log, missing); });
  };
  int64_t done = first_step;
  std::string enough;  // why training ends before its last step
  bool going = first_step == 0 || looked(first_step, true);
  if (going && done < steps) enough = reason_to_stop(training);
  while (done < steps && training.ranks.all(going && enough.empty())) {
    going = take_step(training, pictures, done, &numbers);
    if (!going) break;
    ++done;
    update_averages(training);
    if (done == steps || (flags.ema_snapshots > 0 && done % flags.ema_snapshots == 0)) snapshot_or_warn(training, done);
    if (done % flags.log_every == 0)
      log.write(done, {{"loss", numbers.loss},
                       {"grad_norm", numbers.norm},
                       {"lr", numbers.rate},
                       {"seconds", seconds_since(start)}});
    progress.update(done, concat_message("loss ", numbers.loss));
    going = looked(done, false);
    if (going && done < steps) enough = reason_to_stop(training);
    if (going && enough.empty()) save_where_due(training, log, done);
  }
  if (going && !enough.empty()) return finish_early(training, log, done, enough);
  if (!going || done < steps) return stop_after(training, log, done);
  log.finish();
  return 0;
}

// All that a run does beside its steps once, in memory.
void rehearse(DiffusionTraining& training) {
  const DiffusionFlags& flags = training.flags;
  if (flags.val_every > 0 && training.data.held_out && training.data.held_out->size() > 0) {
    validate(training.averaged, training.schedule, training.run.prediction, *training.data.held_out,
             training.common.seed, 1);
    encode_checkpoint(training.ema.averaged(), metadata_of(training, training.watch, 0));  // the best so far
  }
  if (flags.sample_every > 0 && training.data.training) grid_rows(training, 2);
  encode_checkpoint(saved_tensors(training, 0), metadata_of(training, training.watch, 0));
}

// --dry-run: three real steps, of which the last is timed; all that comes between steps is there before it.
int forecast(DiffusionTraining& training) {
  const StepTensors pictures = drawn_for(training);
  training.network.train();
  StepNumbers numbers;
  double seconds = 0;
  for (int64_t step = 0; step < std::min<int64_t>(3, training.steps); ++step) {
    if (step == 2 && training.ranks.first()) rehearse(training);
    const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
    if (!take_step(training, pictures, step, &numbers)) return interrupt_exit_code();
    update_averages(training);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  if (!training.ranks.first()) return 0;
  struct rusage used = {};
  ::getrusage(RUSAGE_SELF, &used);
  const double mib = 1 << 20;
  std::printf("memory: %.0f MiB at most, of which a step's tensors and the run's own have %.0f MiB\n",
              double(used.ru_maxrss) / 1024, double(memory_statistics().peak) / mib);
  std::printf("time: %.3g s a step; %lld steps take %s, and what is saved, validated and drawn on the way\n", seconds,
              static_cast<long long>(training.steps), format_duration(seconds * double(training.steps)).c_str());
  std::printf("nothing was written\n");
  return 0;
}

int train_diffusion(const DiffusionFlags& flags, const Common& common, Communicator& ranks) {
  DenoiserRun run = flags.run();
  const std::optional<DenoiserRun> earlier = earlier_run(flags);
  if (earlier) adopt_run(*earlier, flags, common, &run);
  const DiffusionData data = open_data(flags, common, earlier, &run);
  const StateDict initial = initial_weights(flags, common, &run);
  const int64_t steps = total_steps(flags, data);
  std::optional<RunDirectory> directory;  // one process at a time holds it
  if (ranks.first() && !flags.dry_run) directory.emplace(flags.out);
  DiffusionTraining training = begin_training(flags, common, data, run, initial, steps, ranks);
  if (flags.dry_run) return forecast(training);
  ranks.all(true);  // all have read what the first will write anew
  if (!ranks.first()) return follow_first_rank(training);
  training.events = open_events(flags.tensorboard, flags.out, training.first_step, common);
  if (data.dataset) keep_lists(flags, common, *data.dataset, training.first_step);
  directory->write_config(config_text(training));
  check_log(directory->file("log.jsonl"), training.first_step, flags.log_every, common);
  PatientLog log(
      directory->file("log.jsonl"), training.first_step > 0 ? training.first_step : -1,
      [&](const std::string& warning) { note(common, "warning: " + warning); }, training.events);
  return train_on(training, *directory, log);
}

}  // namespace

void add_diffusion(Options& program) {
  Options& options = program.subcommand("diffusion", "Trains the diffusion model.",
                                        "dtrain diffusion --data DIR --out RUN --image-size 64 --epochs 200");
  const std::shared_ptr<DiffusionFlags> flags = std::make_shared<DiffusionFlags>();
  add_flags(options, *flags);
  options.runs_on_cuda(gpu_of_rank);
  options.body([flags](const Common& common) {
    return on_ranks(common,
                    [&](Communicator& ranks, const Common& own) { return train_diffusion(*flags, own, ranks); });
  });
}

}  // namespace echodiff
