// dtrain value: the value model v(x0_hat_t, t, c) on recorded trajectories, binary cross-entropy with the label of the
// finished picture. The loop is in train_value(), readable from top to bottom.
#include <limits>

#include "dtrain/dtrain.h"
#include "dtrain/init.h"
#include "dtrain/judge_step.h"
#include "quality/judges/value_data.h"
#include "quality/judges/value_model.h"
#include "quality/judges/value_report.h"
#include "quality/recordings/value_recordings.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

struct Settings {
  std::vector<std::string> recordings;
  std::string out, on = "x0hat", architecture = "film";
  bool resume = false;
  int64_t width = 16, steps = 1500, batch = 32, val_every = 100;
  int64_t split_seed = 0;
  double rate = 1e-3, weight_decay = 1e-2, calibrate = 0.2, test = 0.2;
};

// All that the run must have in common with the one it goes on from.
Metadata facts_of(const Settings& settings, const ValueData& data, uint64_t seed, uint64_t split_seed) {
  return {{"seed", std::to_string(seed)},
          {"split_seed", std::to_string(split_seed)},
          {"chains", std::to_string(data.trajectories.size())},
          {"steps", std::to_string(settings.steps)},
          {"batch", std::to_string(settings.batch)},
          {kPlaneNames, join(data.plane_names)}};
}

void require_same_run(const SafetensorsFile& file, const ValueOptions& options, const Metadata& facts) {
  check_input(value_options(file.metadata, file.path) == options, Fault::kUsage, "--resume: ", file.path,
              " is of another network or other recordings; repeat the flags it was begun with");
  Metadata known = facts;
  if (!file.metadata.contains(kPlaneNames)) known.erase(kPlaneNames);  // of an older version
  require_same_facts(file, known);
}

StateDict copy_of(const StateDict& state) {
  StateDict copy;
  for (const NamedTensor& tensor : state) copy.push_back({tensor.name, tensor.tensor.clone()});
  return copy;
}

// The weights of the lowest validation loss so far.
struct Best {
  StateDict weights;
  double loss = std::numeric_limits<double>::max();
};

// Takes over what the run's newest checkpoint holds. Returns the steps it has had, 0 for a new run.
int64_t go_on(const Settings& settings, const Common& common, const Metadata& facts, ValueModel& model, Adam& adam,
              Best& best) {
  const std::optional<SafetensorsFile> saved = checkpoint_to_resume(settings.out, settings.resume);
  if (!saved) return 0;
  require_same_run(*saved, model.options(), facts);
  model.load(*saved);
  adam.load_state(*saved, "train.");
  best = {with_prefix(saved->tensors, "train.best."), saved->at("train.best_loss").item()};
  const int64_t steps_done = int64_t(saved->at("train.steps_done").item());
  note(common, concat_message("going on after step ", steps_done, " of ", settings.steps));
  return steps_done;
}

void save(const std::string& run, int64_t steps_done, const Metadata& facts, ValueModel& model, const Adam& adam,
          const Best& best) {
  std::vector<NamedTensor> training = add_prefix("train.", adam.state());
  for (const NamedTensor& tensor : add_prefix("train.best.", best.weights)) training.push_back(tensor);
  training.push_back({"train.best_loss", full({}, best.loss, DType::f64)});
  training.push_back({"train.steps_done", full({}, double(steps_done), DType::i64)});
  model.save(run, steps_done, training, facts);
}

// Logs the loss on the trajectories set apart, and keeps the weights where none before were as good.
void validate(const ValueData& data, const ValueSplit& split, uint64_t seed, int64_t done, ValueModel& model,
              RunLog& log, Best& best) {
  model.network().eval();
  const double loss = balanced_loss(judge_frames(model, data, split.calibrate, seed));
  model.network().train();
  log.write({{"step", done}, {"val_loss", loss}});
  if (loss < best.loss) best = {copy_of(model.network().state_dict()), loss};
}

int train_value(const Settings& settings, const Common& common) {
  const ValueData data = read_value_data(settings.recordings);
  const uint64_t seed = common.seed, split_seed = uint64_t(settings.split_seed);
  const ValueSplit split = split_by_mask(data, settings.calibrate, settings.test, split_seed);
  note(common, concat_message(join(settings.recordings, ", "), ": ", data.trajectories.size(), " trajectories of ",
                              data.masks.size(), " masks: ", split.train.size(), " train, ", split.calibrate.size(),
                              " calibrate, ", split.test.size(), " test; ", data.planes, " planes; left out: nothing"));
  ValueModel model({.architecture = settings.architecture,
                    .on = settings.on,
                    .image_size = data.image_size,
                    .planes = data.planes,
                    .width = settings.width,
                    .schedule = data.schedule,
                    .T = data.T},
                   seed);
  const Device device = parse_device(common.device);
  model.to(device);
  model.use_bf16(common.bf16);
  const Schedule schedule = make_schedule(data.schedule, data.T);
  const Metadata facts = facts_of(settings, data, seed, split_seed);

  const RunDirectory run(settings.out);
  const std::vector<NamedTensor> parameters = model.network().parameters();
  Adam adam(parameters, {.weight_decay = settings.weight_decay, .decoupled = true});
  Best best{.weights = copy_of(model.network().state_dict())};
  const int64_t first_step = go_on(settings, common, facts, model, adam, best);
  run.write_config(common.resolved_toml);
  JudgeTraining training{.name = "value",
                         .kept = "the last checkpoint stands",
                         .parameters = parameters,
                         .adam = std::move(adam),
                         .rate = warmed_cosine(settings.rate, 20, settings.steps),
                         .log = RunLog(run.file("log.jsonl"), first_step > 0 ? first_step : -1),
                         .progress = Progress("value", settings.steps, "steps", common.quiet, first_step)};
  model.network().train();
  for (int64_t step = first_step; step < settings.steps; ++step) {
    const auto [images, t, condition, targets] =
        draw_value_batch(data, schedule, split.train, settings.on, seed, step * settings.batch, settings.batch);
    guarded_step(training, step, bce_with_logits(model.logits(images, t, condition), targets.to(device)));
    const int64_t done = step + 1;
    const bool last = done == settings.steps, validated = done % settings.val_every == 0 || last;
    if (validated) validate(data, split, seed, done, model, training.log, best);
    const bool stopping = interrupted();
    if (stopping || (validated && !last)) save(run.path(), done, facts, model, training.adam, best);
    if (stopping) {
      note(common,
           concat_message("interrupted: step ", done, " of ", settings.steps, " is saved; go on with --resume"));
      return interrupt_exit_code();
    }
  }
  training.progress.finish();

  model.network().load_state_dict(best.weights);
  model.network().eval();
  const std::vector<JudgedFrame> fitted_on = judge_frames(model, data, split.calibrate, seed);
  calibrate(model, fitted_on);
  save(run.path(), settings.steps, facts, model, training.adam, best);
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
  options.add_list("--recordings", settings.recordings, "recordings of dsample record, with labels", "DIR").required();
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
              "number");
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
