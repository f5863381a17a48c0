// dtrain value: the value model v(x0_hat_t, t, c) on recorded trajectories, binary cross-entropy with the label of the
// finished picture. The loop is in train_value(), readable from top to bottom.
#include <limits>

#include "dtrain/dtrain.h"
#include "dtrain/judge_step.h"
#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "quality/judges/value_data.h"
#include "quality/judges/value_model.h"
#include "quality/judges/value_report.h"
#include "quality/recordings/value_recordings.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/content_hash.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

struct Settings {
  std::vector<std::string> recordings;
  std::string out, on = "x0hat", architecture = "film";
  ResumeFlags resume;
  bool tensorboard = false;
  int64_t width = 16, steps = 1500, batch = 32, val_every = 100;
  int64_t split_seed = 0;
  double rate = 1e-3, weight_decay = 1e-2, calibrate = 0.2, test = 0.2;
};

// The flags and recordings that decide the bits.
Metadata facts_of(const Common& common, const ValueData& data) {
  ContentHash hash;
  for (const Tensor& mask : data.masks) hash.add(mask);
  for (const ValueTrajectory& trajectory : data.trajectories) {
    hash.add(trajectory.mask);
    hash.add(int64_t(trajectory.good));
    hash.add(trajectory.final);
    for (const GrayImage& picture : trajectory.x0hat) hash.add(picture);
    for (const int64_t t : trajectory.times) hash.add(t);
  }
  Metadata facts = training_facts(common, {"recordings"});
  facts["training.data"] = hash.text();
  facts[kPlaneNames] = join(data.plane_names);
  return facts;
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
  require_same_facts(*saved, {}, facts, settings.resume, common);
  check_input(value_options(saved->metadata, saved->path) == model.options(), Fault::kUsage, "--resume: ", saved->path,
              " is of another network or other recordings; repeat the flags it was begun with");
  model.load(*saved);
  best = {with_prefix(saved->tensors, "train.best."), saved->at("train.best_loss").item()};
  const int64_t steps_done = load_training_state(*saved, adam);
  note(common, concat_message("going on after step ", steps_done, " of ", settings.steps));
  return steps_done;
}

void save(const std::string& run, int64_t steps_done, const Metadata& facts, ValueModel& model, JudgeTraining& training,
          const Best& best) {
  std::vector<NamedTensor> state = training_state(training, steps_done);
  for (const NamedTensor& tensor : add_prefix("train.best.", best.weights)) state.push_back(tensor);
  state.push_back({"train.best_loss", full({}, best.loss, DType::f64)});
  model.save(run, steps_done, state, facts);
}

// The loss on the trajectories set apart; keeps the weights where none before were as good.
double validate(const ValueData& data, const ValueSplit& split, uint64_t seed, ValueModel& model, Best& best) {
  model.network().eval();
  const double loss = balanced_loss(judge_frames(model, data, split.calibrate, seed));
  model.network().train();
  if (loss < best.loss) best = {copy_of(model.network().state_dict()), loss};
  return loss;
}

int finish_value(const RunDirectory& run, ValueModel& model, const ValueData& data, const ValueSplit& split,
                 const std::vector<JudgedFrame>& fitted_on, uint64_t seed) {
  const ValueReport report = value_report(model, data, split, fitted_on, seed);
  write_file_atomic(run.file("metrics.json"), report.json);
  std::printf("%s", report.text.c_str());
  return 0;
}

ValueModel make_model(const Settings& settings, const ValueData& data, const Common& common) {
  ValueModel model({.architecture = settings.architecture,
                    .on = settings.on,
                    .image_size = data.image_size,
                    .planes = data.planes,
                    .width = settings.width,
                    .schedule = data.schedule,
                    .log_snr_shift = data.log_snr_shift,
                    .T = data.T},
                   common.seed);
  model.to(parse_device(common.device));
  model.use_bf16(common.bf16);
  return model;
}

std::string summary_of(const Settings& settings, const ValueData& data, const ValueSplit& split) {
  return concat_message(join(settings.recordings, ", "), ": ", data.trajectories.size(), " trajectories of ",
                        data.masks.size(), " masks: ", split.train.size(), " train, ", split.calibrate.size(),
                        " calibrate, ", split.test.size(), " test; ", data.planes, " planes; left out: nothing");
}

int train_value(const Settings& settings, const Common& common) {
  const ValueData data = read_value_data(settings.recordings);
  const uint64_t seed = common.seed;
  const ValueSplit split = split_by_mask(data, settings.calibrate, settings.test, uint64_t(settings.split_seed));
  note(common, summary_of(settings, data, split));
  ValueModel model = make_model(settings, data, common);
  const Device device = parse_device(common.device);
  const Schedule schedule = make_schedule(data.schedule, data.T, data.log_snr_shift);
  const Metadata facts = facts_of(common, data);

  const RunDirectory run(settings.out);
  const std::vector<NamedTensor> parameters = model.network().parameters();
  Adam adam(parameters, {.weight_decay = settings.weight_decay, .decoupled = true});
  Best best{.weights = copy_of(model.network().state_dict())};
  const int64_t first_step = go_on(settings, common, facts, model, adam, best);
  Communicator alone;
  JudgeTraining training{.name = "value",
                         .parameters = parameters,
                         .buffers = buffers_of(model.network()),
                         .adam = std::move(adam),
                         .rate = warmed_cosine(settings.rate, 20, settings.steps),
                         .device = device,
                         .log = open_log(run, settings.tensorboard, common, first_step),
                         .progress = Progress("value", settings.steps, "steps", common.quiet, first_step),
                         .ranks = alone};
  const int64_t looked = last_logged(run.file("log.jsonl"), "val_loss");
  const auto due = [&](int64_t done) { return done % settings.val_every == 0 || done == settings.steps; };
  // What is due after a step, unless it was done before the run was broken off; false: a signal ended it. The log says
  // so when the checkpoint has it.
  const auto look = [&](int64_t done) {
    if (!due(done) || done == looked) return true;
    double loss = 0;
    if (!unless_stopped(device, [&] { loss = validate(data, split, seed, model, best); })) return false;
    if (done < settings.steps) save(run.path(), done, unfinished(facts), model, training, best);
    training.log->write({{"step", done}, {"val_loss", loss}});
    return true;
  };

  model.network().train();
  bool going = first_step == 0 || look(first_step);
  int64_t done = first_step;
  while (going && done < settings.steps) {
    const ValueBatch batch =
        draw_value_batch(data, schedule, split.train, settings.on, seed, done * settings.batch, settings.batch);
    going = guarded_step(training, done, [&](int64_t) {
      return bce_with_logits(model.logits(batch.images, batch.t, batch.condition), batch.targets.to(device));
    });
    if (!going) break;
    ++done;
    going = !interrupted() && look(done);
  }
  if (!going) {
    save(run.path(), done, unfinished(facts), model, training, best);
    return say_interrupted(common, done, settings.steps);
  }
  training.progress.finish();

  model.network().load_state_dict(best.weights);
  model.network().eval();
  const std::vector<JudgedFrame> fitted_on = judge_frames(model, data, split.calibrate, seed);
  calibrate(model, fitted_on);
  save(run.path(), settings.steps, facts, model, training, best);
  return finish_value(run, model, data, split, fitted_on, seed);
}

}  // namespace

void add_value(Options& program) {
  static Settings settings;
  Options& options =
      program.subcommand("value", "Trains the value model: will the finished picture be good, told on the way?",
                         "dtrain value --recordings recording --out runs/value");
  options.add_list("--recordings", settings.recordings, "recordings of dsample record, with labels", "DIR").required();
  options.add("--out", settings.out, "run directory to write", "DIR").required();
  declare_resume(options, settings.resume);
  declare_tensorboard(options, settings.tensorboard);
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
