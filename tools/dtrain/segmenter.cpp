// dtrain segmenter: a U-Net from picture to masks, trained on the real pairs of a data set; the loop is in
// train_segmenter(), readable from top to bottom.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "dtrain/dtrain.h"
#include "dtrain/flags.h"
#include "dtrain/judge_step.h"
#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "quality/evaluate/distribution.h"
#include "quality/judges/segmentation_loss.h"
#include "quality/judges/segmenter.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/ops.h"
#include "train/content_hash.h"
#include "train/data/image.h"
#include "train/data/loader.h"
#include "train/folder/listing.h"
#include "train/folder/split.h"
#include "train/model_run.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

struct Settings {
  std::string data, out, run, mults = "1,2,4", fit = "pad";
  std::vector<std::string> samples;
  ResumeFlags resume;
  bool tensorboard = false;
  int64_t image_size = 64, dim = 16, steps = 800, batch = 16, save_every = 100, val_every = 100;
  double rate = 1e-3, dice_weight = 1;
  bool flip = false;
};

// {"liver": {"mean", "error", "n"}, ..} over the pictures of one split.
nlohmann::ordered_json dice_of_split(const Segmenter& segmenter, const Dataset& data, const std::string& split) {
  std::vector<GrayImage> images;
  std::vector<const std::vector<GrayImage>*> planes;
  for (const Example& example : data.examples)
    if (example.split == split) images.push_back(example.image), planes.push_back(&example.planes);
  const std::vector<std::vector<double>> values = dice_scores(segmenter, images, planes).by_class;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (size_t c = 0; c < values.size(); ++c) {
    if (values[c].empty()) continue;
    const Measure mean = mean_of(values[c]);
    json[segmenter.options().classes[c]] = {{"mean", mean.value}, {"error", mean.error}, {"n", values[c].size()}};
  }
  return json;
}

// {"step": 100, "val_dice": 0.7, "val_dice_liver": 0.8, ..}: on the val pictures; the first is the classes' mean.
LogFields dice_line(Segmenter& segmenter, const Dataset& data, int64_t step) {
  segmenter.network().eval();
  LogFields by_class;
  double sum = 0;
  const nlohmann::ordered_json dice = dice_of_split(segmenter, data, "val");
  for (const auto& [name, one] : dice.items()) {
    by_class.emplace_back("val_dice_" + name, one["mean"].get<double>());
    sum += one["mean"].get<double>();
  }
  segmenter.network().train();
  LogFields line{{"step", step}, {"val_dice", sum / double(by_class.size())}};
  line.insert(line.end(), by_class.begin(), by_class.end());
  return line;
}

// Sampled pictures join the training ones, each with the mask of the data that it was drawn from. Those of val's masks
// are left out; a test mask's would make the measure worthless. Returns how many joined.
int64_t add_samples(const std::string& folder, Dataset& data) {
  std::map<std::string, const Example*> masks;
  for (const Example& example : data.examples) masks[stem_of(example.file)] = &example;
  require_fit(data, origin_of_samples(folder).fit, folder, "--data");
  std::vector<Example> added;
  for (const ListedPicture& picture : list_pictures(folder)) {
    const auto found = masks.find(stem_of(picture.group));
    check_input(found != masks.end(), Fault::kBadInput, picture.path, ": expected a mask of --data, found '",
                picture.group, "'; give the data set that the samples were drawn from");
    Example example = *found->second;
    check_input(example.split != "test", Fault::kBadInput, picture.path, ": was drawn from ", example.file,
                " of the split test; sample masks of the training split, or the measure is of no worth");
    if (example.split != "train") continue;
    example.image = fit_area(read_picture(picture.path), data.image_size, data.fit);
    added.push_back(std::move(example));
  }
  data.examples.insert(data.examples.end(), added.begin(), added.end());
  return int64_t(added.size());
}

// The pictures of --data, held out and made square as --run has them, where it is given.
Dataset read_data(const Settings& settings, const Common& common) {
  const Fit fit = settings.run.empty() ? parse_fit(settings.fit) : fit_of_run(settings.run);
  check_input(settings.run.empty() || !common.given("--fit") || fit == parse_fit(settings.fit), Fault::kUsage,
              "--fit: ", settings.run, " has ", name_of(fit), "; leave it out to take the run's");
  Dataset data = load_dataset({.directory = settings.data, .image_size = settings.image_size, .fit = fit});
  if (!settings.run.empty()) follow_split(settings.run, data, settings.data);
  for (const std::string& line : data.notes) note(common, line);
  note(common, summary_of(data, settings.data));
  return data;
}

int finish_segmenter(const RunDirectory& run, Segmenter& segmenter, const Dataset& data) {
  segmenter.network().eval();
  nlohmann::ordered_json metrics;
  for (const char* split : {"val", "test"}) metrics["dice"][split] = dice_of_split(segmenter, data, split);
  write_file_atomic(run.file("metrics.json"), metrics.dump(2) + "\n");
  for (const auto& [split, by_class] : metrics["dice"].items())
    for (const auto& [name, one] : by_class.items())
      std::printf("%s: Dice of %s %.3f +- %.3f (n %lld)\n", split.c_str(), name.c_str(), one["mean"].get<double>(),
                  1.96 * one["error"].get<double>(), static_cast<long long>(one["n"].get<int64_t>()));
  return 0;
}

Segmenter make_segmenter(const Settings& settings, const Common& common, const Dataset& data) {
  std::vector<std::string> classes = data.plane_names;
  classes.pop_back();  // the sector
  Segmenter segmenter({.image_size = settings.image_size,
                       .classes = classes,
                       .dim = settings.dim,
                       .mults = parse_integers(settings.mults, "--mults"),
                       .fit = data.fit},
                      common.seed);
  segmenter.to(parse_device(common.device));
  segmenter.use_bf16(common.bf16);
  return segmenter;
}

// What is due after a step, unless `looked` says that it was done before the run was broken off; false: a signal ended
// it.
bool look(const Settings& settings, const Dataset& data, int64_t done, int64_t looked, Segmenter& segmenter,
          JudgeTraining& training) {
  if ((done % settings.val_every != 0 && done != settings.steps) || done == looked) return true;
  LogFields line;
  if (!unless_stopped(training.device, [&] { line = dice_line(segmenter, data, done); })) return false;
  training.log->write(line);
  return true;
}

int train_segmenter(const Settings& settings, const Common& common) {
  Dataset data = read_data(settings, common);
  for (const std::string& folder : settings.samples)
    note(common, concat_message(folder, ": ", add_samples(folder, data), " samples join the training pictures"));
  Segmenter segmenter = make_segmenter(settings, common, data);
  const Loader loader(data, "train", common.seed, {.flip = settings.flip});
  check_input(loader.size() > 0, Fault::kBadInput, settings.data, ": no training pictures");
  Metadata facts = training_facts(common, {"data", "samples"});
  facts["training.data"] = content_hash(data);
  const RunDirectory run(settings.out);
  keep_split(settings.out, data);
  const std::optional<SafetensorsFile> saved = checkpoint_to_resume(settings.out, settings.resume);
  if (saved) {
    require_same_facts(*saved, {}, facts, settings.resume, common);
    segmenter.network().load_state_dict(raw_weights(saved->tensors));
  }
  if (saved && !saved->metadata.contains(kUnfinished)) return finish_segmenter(run, segmenter, data);
  const std::vector<NamedTensor> parameters = segmenter.network().parameters();
  Adam adam(parameters, {});
  const int64_t first_step = saved ? load_training_state(*saved, adam) : 0;
  Communicator alone;
  JudgeTraining training{.name = "segmenter",
                         .parameters = parameters,
                         .buffers = buffers_of(segmenter.network()),
                         .adam = std::move(adam),
                         .rate = warmed_cosine(settings.rate, 20, settings.steps),
                         .clip = 1,
                         .device = parse_device(common.device),
                         .log = open_log(run, settings.tensorboard, common, first_step),
                         .log_seconds = false,
                         .progress = Progress("segmenter", settings.steps, "steps", common.quiet, first_step),
                         .ranks = alone};

  const int64_t looked = last_logged(run.file("log.jsonl"), "val_dice");
  const auto save_unfinished = [&](int64_t done) {
    segmenter.save(run.path(), done, training_state(training, done), unfinished(facts));
  };

  segmenter.network().train();
  bool going = first_step == 0 || look(settings, data, first_step, looked, segmenter, training);
  int64_t done = first_step;
  while (going && done < settings.steps) {
    const Batch batch = loader.draw(done * settings.batch, settings.batch);
    const Tensor planes = slice(batch.condition, 1, 0, batch.condition.dim(1) - 1);  // the last plane is the sector
    going = guarded_step(training, done, [&](int64_t) {
      return segmentation_loss(segmenter(batch.x_0), planes.to(training.device), settings.dice_weight);
    });
    if (!going) break;
    ++done;
    going = !interrupted() && look(settings, data, done, looked, segmenter, training);
    if (going && done % settings.save_every == 0 && done < settings.steps) save_unfinished(done);
  }
  if (!going) {
    save_unfinished(done);
    return say_interrupted(common, done, settings.steps);
  }
  training.progress.finish();
  training.log->sync();
  segmenter.save(run.path(), settings.steps, {}, facts);
  return finish_segmenter(run, segmenter, data);
}

}  // namespace

void add_segmenter(Options& program) {
  static Settings settings;
  Options& options = program.subcommand(
      "segmenter",
      "Trains a U-Net that finds the masks in a picture, on the data's real pairs and on samples if given.",
      "dtrain segmenter --data data --out runs/segmenter");
  options.add("--data", settings.data, "data-set folder with masks", "DIR").required();
  options.add_list("--samples", settings.samples,
                   "outputs of dsample, drawn from training masks of --data: more pictures to train on", "DIR");
  options.add("--out", settings.out, "run directory to write", "DIR").required();
  options.add(
      "--run", settings.run,
      "run of dtrain diffusion on the same data: holds out what it held out, and makes pictures square as it does",
      "RUN");
  declare_resume(options, settings.resume);
  declare_tensorboard(options, settings.tensorboard);
  options.add("--image-size", settings.image_size, "side of the pictures, resized by area", {16, 1024}, "pixels");
  add_fit(options, settings.fit);
  options.add("--dim", settings.dim, "channels at full resolution", {8, 256}, "channels");
  options.add("--mults", settings.mults, "channels of each level over --dim", "N,N,...");
  options.add("--steps", settings.steps, "training steps", {1, 10000000}, "steps");
  options.add("--batch", settings.batch, "pictures per step", {1, 1024}, "pictures");
  options.add("--lr", settings.rate, "highest learning rate; warm-up, then half a cosine down to 0", {1e-8, 1},
              "per step");
  options.add("--dice-weight", settings.dice_weight,
              "of the Dice of each class, beside the binary cross-entropy of each pixel", {0, 1000}, "times");
  options.add("--val-every", settings.val_every, "steps between measures of Dice on the validation pictures",
              {1, 1000000}, "steps");
  options.add("--save-every", settings.save_every, "steps between checkpoints to go on from", {1, 1000000}, "steps");
  options.add_flag("--flip", settings.flip, "mirror every other training picture");
  options.runs_on_cuda();
  options.body([](const Common& common) { return train_segmenter(settings, common); });
}

}  // namespace echodiff
