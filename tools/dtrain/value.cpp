// dtrain value: the value model v(x0_hat_t, t, c) on recorded trajectories, binary cross-entropy with the label of the
// finished picture. The loop is in train_value(), readable from top to bottom.
#include <chrono>
#include <cmath>
#include <limits>

#include "dtrain/dtrain.h"
#include "quality/judges/value_data.h"
#include "quality/judges/value_model.h"
#include "quality/judges/value_report.h"
#include "quality/recordings/value_recordings.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/optimizer.h"
#include "train/run_dir.h"
#include "train/run_log.h"

namespace echodiff {
namespace {

struct Settings {
  std::vector<std::string> recordings;
  std::string out, on = "x0hat", architecture = "film";
  bool resume = false;
  int64_t width = 16, steps = 1500, batch = 32, val_every = 100;
  std::optional<int64_t> split_seed;
  double rate = 1e-3, weight_decay = 1e-2, calibrate = 0.2, test = 0.2;
};

// All that the run must have in common with the one it goes on from.
Metadata facts_of(const Settings& settings, const ValueData& data, uint64_t seed, uint64_t split_seed) {
  return {{"seed", std::to_string(seed)},
          {"split_seed", std::to_string(split_seed)},
          {"chains", std::to_string(data.trajectories.size())},
          {"steps", std::to_string(settings.steps)},
          {"batch", std::to_string(settings.batch)}};
}

void require_same_run(const SafetensorsFile& file, const ValueOptions& options, const Metadata& facts) {
  const ValueOptions saved = value_options(file.metadata, file.path);
  const bool same = saved.architecture == options.architecture && saved.on == options.on &&
                    saved.image_size == options.image_size && saved.planes == options.planes &&
                    saved.width == options.width && saved.schedule == options.schedule && saved.T == options.T;
  check_input(same, Fault::kUsage, "--resume: ", file.path,
              " is of another network or other recordings; repeat the flags it was begun with");
  for (const auto& [key, value] : facts) {
    const Metadata::const_iterator found = file.metadata.find(key);
    check_input(found != file.metadata.end() && found->second == value, Fault::kUsage, "--resume: ", file.path, " has ",
                key, " = ", found == file.metadata.end() ? "nothing" : found->second, ", found ", value,
                "; repeat the flags it was begun with");
  }
}

StateDict copy_of(const StateDict& state) {
  StateDict copy;
  for (const NamedTensor& tensor : state) copy.push_back({tensor.name, tensor.tensor.clone()});
  return copy;
}

int train_value(const Settings& settings, const Common& common) {
  const ValueData data = read_value_data(settings.recordings);
  const uint64_t seed = common.seed, split_seed = uint64_t(settings.split_seed.value_or(int64_t(seed)));
  const ValueSplit split = split_by_mask(data, settings.calibrate, settings.test, split_seed);
  const ValueOptions options{.architecture = settings.architecture,
                             .on = settings.on,
                             .image_size = data.image_size,
                             .planes = data.planes,
                             .width = settings.width,
                             .schedule = data.schedule,
                             .T = data.T};
  ValueModel model(options, seed);
  const Device device = parse_device(common.device);
  model.to(device);
  model.use_bf16(common.bf16);
  const Schedule schedule = make_schedule(data.schedule, data.T);
  const Metadata facts = facts_of(settings, data, seed, split_seed);

  const RunDirectory run(settings.out);
  const std::string found = latest_checkpoint(settings.out);
  check_input(found.empty() || settings.resume, Fault::kCannotCreate, settings.out,
              ": holds a run already; go on with --resume or choose another --out");
  Adam adam(model.network().parameters(), {.weight_decay = settings.weight_decay, .decoupled = true});
  StateDict best = copy_of(model.network().state_dict());  // of the lowest validation loss so far
  double best_loss = std::numeric_limits<double>::max();
  int64_t first_step = 0;
  if (!found.empty()) {
    const SafetensorsFile file = read_checkpoint(found);
    require_same_run(file, options, facts);
    model.load(file);
    adam.load_state(file, "train.");
    best = with_prefix(file.tensors, "train.best.");
    best_loss = file.at("train.best_loss").item();
    first_step = int64_t(file.at("train.steps_done").item());
    note(common, concat_message("going on after step ", first_step, " of ", settings.steps));
  }
  run.write_config(common.resolved_toml);
  RunLog log(run.file("log.jsonl"), first_step > 0 ? first_step : -1);
  const auto save = [&](int64_t steps_done) {
    std::vector<NamedTensor> training = add_prefix("train.", adam.state());
    for (const NamedTensor& tensor : add_prefix("train.best.", best)) training.push_back(tensor);
    training.push_back({"train.best_loss", full({}, best_loss, DType::f64)});
    training.push_back({"train.steps_done", full({}, double(steps_done), DType::i64)});
    model.save(run.path(), steps_done, training, facts);
  };

  const LearningRateOptions rate{.rate = settings.rate,
                                 .warmup = std::min<int64_t>(20, settings.steps / 2),
                                 .cosine = true,
                                 .total = settings.steps};
  Progress progress("value", settings.steps, "steps", common.quiet, first_step);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  model.network().train();
  for (int64_t step = first_step; step < settings.steps; ++step) {
    const auto [images, t, condition, targets] =
        draw_value_batch(data, schedule, split.train, settings.on, seed, step * settings.batch, settings.batch);
    const Tensor loss = bce_with_logits(model.logits(images, t, condition), targets.to(device));
    adam.zero_grad();
    loss.backward();
    const double norm = gradient_norm(model.network().parameters()).item(), value = loss.item();
    const bool usable = std::isfinite(value) && std::isfinite(norm);
    if (usable) adam.step(learning_rate(rate, step));
    check(usable && adam.finite(), "value: loss ", value, ", gradient norm ", norm, " at step ", step + 1,
          ", learning rate ", learning_rate(rate, step),
          ": not finite; the last checkpoint stands. Try a smaller --lr");
    const int64_t done = step + 1;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    log.write({{"step", done},
               {"loss", value},
               {"grad_norm", norm},
               {"lr", learning_rate(rate, step)},
               {"seconds", std::round(elapsed.count() * 1000) / 1000}});
    progress.update(done, concat_message("loss ", value));
    if (done % settings.val_every == 0 || done == settings.steps) {
      model.network().eval();
      const double val_loss = balanced_loss(judge_frames(model, data, split.calibrate, seed));
      model.network().train();
      log.write({{"step", done}, {"val_loss", val_loss}});
      if (val_loss < best_loss) {
        best_loss = val_loss;
        best = copy_of(model.network().state_dict());
      }
      if (done < settings.steps) save(done);
    }
    if (interrupted()) {
      save(done);
      note(common,
           concat_message("interrupted: step ", done, " of ", settings.steps, " is saved; go on with --resume"));
      return interrupt_exit_code();
    }
  }
  progress.finish();

  model.network().load_state_dict(best);
  model.network().eval();
  const std::vector<JudgedFrame> fitted_on = judge_frames(model, data, split.calibrate, seed);
  calibrate(model, fitted_on);
  save(settings.steps);
  const ValueReport report = value_report(model, data, split, fitted_on, seed);
  write_file_atomic(run.file("metrics.json"), report.json);
  std::printf("%s", report.text.c_str());
  return 0;
}

}  // namespace

void add_value(Options& program) {
  static Settings settings;
  Options& options =
      program.subcommand("value", "Trains the value model: will the finished picture be good, told on the way?",
                         "dtrain value --recordings recording --out runs/value");
  options.add_list("--recordings", settings.recordings, "recordings of dsample --record, with labels", "DIR")
      .required();
  options.add("--out", settings.out, "run directory to write", "DIR").required();
  options.add_flag("--resume", settings.resume, "go on from the run's last checkpoint");
  options.add_choice("--on", settings.on,
                     "what it is shown: the predicted clean picture; x_t, drawn from q(x_t | finished picture), which "
                     "recordings don't hold; or finished pictures alone",
                     {"x0hat", "xt", "x0"});
  options.add_choice("--arch", settings.architecture,
                     "film: residual blocks told the noise level | resnet18: the paper's judge, blind to t",
                     {"film", "resnet18"});
  options.add("--width", settings.width, "channels of the first stage", {1, 256}, "channels");
  options.add("--calibrate", settings.calibrate, "share of the masks that picks the weights and calibrates them",
              {0.01, 0.9}, "fraction");
  options.add("--test", settings.test, "share of the masks that is measured on and nothing else", {0.01, 0.9},
              "fraction");
  options.add("--split-seed", settings.split_seed, "draws which masks train, calibrate and test", {0, 1000000000},
              "number", "the seed");
  options.add("--steps", settings.steps, "training steps", {1, 10000000}, "steps");
  options.add("--batch", settings.batch, "frames per step, half of them of good pictures; even", {2, 4096}, "frames");
  options.add("--lr", settings.rate, "highest learning rate; warm-up, then half a cosine down to 0", {1e-8, 1},
              "per step");
  options.add("--weight-decay", settings.weight_decay, "AdamW's decay", {0, 10}, "per step, times the rate");
  options.add("--val-every", settings.val_every, "steps between validations, each with a checkpoint", {1, 1000000},
              "steps");
  options.rule([] {
    check_input(settings.batch % 2 == 0, Fault::kUsage, "--batch: expected an even number, found ", settings.batch);
    check_input(settings.calibrate + settings.test < 1, Fault::kUsage, "--test: with --calibrate ", settings.calibrate,
                " nothing is left to train on, found ", settings.test);
  });
  options.runs_on_cuda();
  options.body([](const Common& common) { return train_value(settings, common); });
}

}  // namespace echodiff
