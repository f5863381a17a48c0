// dtrain scorer: ResNet-18 (or a plain CNN) with one logit and binary cross-entropy (equations 5 and 6) on labelled
// pictures. The loop is in train_scorer(), readable from top to bottom.
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "dtrain/dtrain.h"
#include "dtrain/flags.h"
#include "dtrain/judge_step.h"
#include "dtrain/ranks.h"
#include "dtrain/stoppable.h"
#include "dtrain/tensorboard.h"
#include "kernels/philox.h"
#include "nn/torch_import/import.h"
#include "quality/judges/scorer.h"
#include "quality/judges/scorer_data.h"
#include "quality/recordings/picture_list.h"
#include "quality/statistics/calibration.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "train/checkpoint.h"
#include "train/content_hash.h"
#include "train/data/image.h"
#include "train/draws.h"
#include "train/model_run.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

struct Settings {
  std::string labels, out, fill, init, run, architecture = "resnet18", fit = "pad";
  ResumeFlags resume;
  bool tensorboard = false;
  std::optional<int64_t> image_size;
  int64_t split_seed = 0;
  bool allow_outside = false;
  int64_t width = 64, per_class = 200, epochs = 15, batch = 32, micro_batches = 1, save_every = 100;
  double rate = 3e-4, weight_decay = 1e-2, held_out = 0.25;
};

// Samples first .. first+count-1 of the run: shuffled each epoch, mirrored by a coin, both functions of (seed, sample).
struct ScorerBatch {
  Tensor images, targets;  // (N, 1, H, W), (N, 1)
};
ScorerBatch draw_batch(const std::vector<ScorerExample>& examples, uint64_t seed, int64_t first, int64_t count) {
  const std::vector<int64_t> indices = draw_examples(seed, int64_t(examples.size()), first, count);
  std::vector<GrayImage> images;
  std::vector<double> targets;
  for (size_t i = 0; i < indices.size(); ++i) {
    const ScorerExample& example = examples[size_t(indices[i])];
    const bool mirror = Random(seed_of(seed, Draw::augment), uint64_t(first) + i).below(2) == 1;
    images.push_back(mirror ? mirrored(example.image) : example.image);
    targets.push_back(example.good);
  }
  return {to_tensor(pointers_to(images)), from_vector({count, 1}, targets)};
}

std::vector<double> scores_of(const Scorer& scorer, const std::vector<ScorerExample>& examples) {
  std::vector<const GrayImage*> images;
  for (const ScorerExample& example : examples) images.push_back(&example.image);
  return scorer.score(images);
}

double cross_entropy_of(const std::vector<double>& scores, const std::vector<ScorerExample>& examples) {
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i)
    sum -= std::log(std::max(1e-12, examples[i].good ? scores[i] : 1 - scores[i]));
  return sum / std::max(1.0, double(scores.size()));
}

// {"good": {"sampled": 12, ..}, "poor": {..}} as flat counts: held_out_good, held_out_good_degraded, ..
void count_into(nlohmann::ordered_json& counts, const std::string& part, const std::vector<ScorerExample>& examples) {
  for (bool good : {true, false}) {
    const std::string name = part + (good ? "_good" : "_poor");
    counts[name] = 0;
    for (const char* origin : {"sampled", "training", "degraded"}) counts[name + "_" + origin] = 0;
    for (const ScorerExample& example : examples)
      if (example.good == good) {
        counts[name] = counts[name].get<int64_t>() + 1;
        counts[name + "_" + example.origin] = counts[name + "_" + example.origin].get<int64_t>() + 1;
      }
  }
}

nlohmann::ordered_json measure_held_out(const Scorer& scorer, const ScorerSplit& split) {
  const std::vector<double> scores = scores_of(scorer, split.held_out);
  std::vector<bool> good;
  for (const ScorerExample& example : split.held_out) good.push_back(example.good);
  const Calibration calibration = calibration_of(scores, good);
  nlohmann::ordered_json metrics{{"auroc", auroc(scores, good)},
                                 {"accuracy", calibration.accuracy},
                                 {"brier", calibration.brier},
                                 {"ece", calibration.ece}};
  std::vector<double> sampled_scores;
  std::vector<bool> sampled_good;
  for (size_t i = 0; i < scores.size(); ++i)
    if (split.held_out[i].origin == "sampled") sampled_scores.push_back(scores[i]), sampled_good.push_back(good[i]);
  const double sampled = auroc(sampled_scores, sampled_good);
  if (std::isfinite(sampled)) metrics["auroc_sampled_only"] = sampled;
  count_into(metrics["counts"], "train", split.train);
  count_into(metrics["counts"], "held_out", split.held_out);
  for (const ReliabilityBin& bin : calibration.bins)
    metrics["calibration"].push_back({{"lo", bin.low},
                                      {"hi", bin.high},
                                      {"n", bin.count},
                                      {"mean_score", bin.mean_score},
                                      {"fraction_good", bin.fraction_good}});
  return metrics;
}

// The output of dsample that holds the picture; "" where it is none.
std::string sampled_in(const std::string& picture) {
  const std::filesystem::path folder = std::filesystem::path(picture).parent_path().parent_path();
  std::error_code ignored;
  return std::filesystem::exists(folder / "samples.jsonl", ignored) ? folder.string() : "";
}

// What judges saw of a sampled picture, where dsample kept it with noise; else the picture.
std::string as_scored(const std::string& picture) {
  const std::string folder = sampled_in(picture);
  const std::string scored = folder + "/scored/" + std::filesystem::path(picture).filename().string();
  std::error_code ignored;
  return !folder.empty() && std::filesystem::exists(scored, ignored) ? scored : picture;
}

// One line on what is trained on, and what balancing the classes left out.
std::string summary_of(const ScorerSplit& split, size_t labelled, const std::string& path) {
  std::set<std::string> groups;
  for (const std::vector<ScorerExample>* part : {&split.train, &split.held_out})
    for (const ScorerExample& example : *part) groups.insert(example.group);
  const size_t used = split.train.size() + split.held_out.size();
  return concat_message(path, ": ", used, " pictures in ", groups.size(), " groups: ", split.train.size(), " train, ",
                        split.held_out.size(), " held out; left out: ",
                        labelled > used ? concat_message(labelled - used, " of the larger class") : "nothing");
}

ScorerSplit prepare_examples(const Settings& settings, const Common& common) {
  Labels labels = read_label_file(settings.labels, settings.allow_outside);
  for (LabelledImage& label : labels.images) label.path = as_scored(label.path);
  const Fit fit = settings.run.empty() ? parse_fit(settings.fit) : fit_of_run(settings.run);
  std::vector<ScorerExample> examples = read_scorer_examples(labels.images, settings.image_size.value_or(0), fit);
  if (!settings.fill.empty()) {
    check_input(!examples.empty(), Fault::kBadInput, settings.labels, ": no labelled pictures");
    const Dataset data = load_dataset(
        {.directory = settings.fill, .image_size = examples[0].image.width, .fit = fit, .need_masks = false});
    for (const LabelledImage& label : labels.images)
      if (const std::string folder = sampled_in(label.path); !folder.empty())
        require_fit(data, origin_of_samples(folder).fit, folder, settings.fill);
    for (const std::string& line : data.notes) note(common, line);
    note(common, summary_of(data, settings.fill));
    fill_classes(examples, data, labels.thresholds, settings.per_class, common.seed);
  }
  const uint64_t split_seed = uint64_t(settings.split_seed);  // not --seed: what is held out stays so
  ScorerSplit split = split_by_group(balance(examples, settings.per_class, common.seed), settings.held_out, split_seed);
  note(common, summary_of(split, examples.size(), settings.labels));
  for (const std::vector<ScorerExample>* part : {&split.train, &split.held_out})
    for (bool good : {true, false})
      check_input(std::any_of(part->begin(), part->end(), [&](const ScorerExample& e) { return e.good == good; }),
                  Fault::kBadInput, settings.labels, ": too few ", good ? "good" : "poor",
                  " pictures to train on and hold out; label more, or add "
                  "--fill DATA to take training pictures and degraded ones");
  return split;
}

// A network of one channel and one logit, made so where the file has more (torchvision's has three and 1000).
ResNet18Import read_initial(const std::string& path, const Common& common) {
  ImportOptions options;
  options.seed = common.seed;
  options.classes = 1;
  options.hints.image_channels = 1;
  const std::string run = latest_checkpoint(path);  // "" where it is no run directory
  ResNet18Import initial = import_resnet18(run.empty() ? path : run, options);
  require_finite(initial.weights, Fault::kBadInput, path);
  for (const std::string& line : initial.notes) note(common, line);
  return initial;
}

// The network on its device, begun with --init where that is given.
Scorer make_scorer(const Settings& settings, const Common& common, int64_t image_size) {
  int64_t width = settings.width;
  ResNet18Import initial;
  if (!settings.init.empty()) {
    initial = read_initial(settings.init, common);
    width = initial.options.width;
    check_input(!common.given("--width") || settings.width == width, Fault::kUsage, "--width: ", settings.init, " has ",
                width, " channels in its first stage; leave it out");
  }
  Scorer scorer({.image_size = image_size, .width = width, .architecture = settings.architecture}, common.seed);
  if (!settings.init.empty()) scorer.network().load_state_dict(initial.weights);
  scorer.to(parse_device(common.device));
  scorer.use_bf16(common.bf16);
  return scorer;
}

void print_measured(const nlohmann::ordered_json& metrics) {
  const nlohmann::ordered_json& counts = metrics["counts"];
  std::printf("held-out: AUROC %.4f, accuracy %.4f, Brier %.4f, calibration error %.4f\n",
              metrics["auroc"].get<double>(), metrics["accuracy"].get<double>(), metrics["brier"].get<double>(),
              metrics["ece"].get<double>());
  for (const char* part : {"train", "held_out"})
    for (const char* label : {"good", "poor"}) {
      const std::string name = std::string(part) + "_" + label;
      std::printf("%s: %lld (sampled %lld, training %lld, degraded %lld)\n", name.c_str(),
                  counts[name].get<long long>(), counts[name + "_sampled"].get<long long>(),
                  counts[name + "_training"].get<long long>(), counts[name + "_degraded"].get<long long>());
    }
  for (const nlohmann::ordered_json& bin : metrics["calibration"])
    if (bin["n"].get<int64_t>() > 0)
      std::printf("score %.1f to %.1f: %lld pictures, mean score %.3f, good %.3f\n", bin["lo"].get<double>(),
                  bin["hi"].get<double>(), bin["n"].get<long long>(), bin["mean_score"].get<double>(),
                  bin["fraction_good"].get<double>());
}

// The flags and pictures that decide the bits.
Metadata facts_of(const Common& common, const ScorerSplit& split) {
  ContentHash hash;
  for (const std::vector<ScorerExample>* part : {&split.train, &split.held_out})
    for (const ScorerExample& example : *part) {
      hash.add(example.image);
      hash.add(int64_t(example.good));
    }
  Metadata facts = training_facts(common, {"labels", "fill", "init"});
  facts["training.data"] = hash.text();
  return facts;
}

void log_held_out_loss(Scorer& scorer, const ScorerSplit& split, int64_t done, RunLog& log) {
  scorer.network().eval();
  const double loss = cross_entropy_of(scores_of(scorer, split.held_out), split.held_out);
  scorer.network().train();
  log.write({{"step", done}, {"val_loss", loss}});
}

int finish_scorer(const RunDirectory& run, Scorer& scorer, const ScorerSplit& split) {
  scorer.network().eval();
  const nlohmann::ordered_json metrics = measure_held_out(scorer, split);
  write_file_atomic(run.file("metrics.json"), metrics.dump(2) + "\n");
  print_measured(metrics);
  return 0;
}

int train_scorer(const Settings& settings, const Common& common, Communicator& ranks) {
  const ScorerSplit split = prepare_examples(settings, common);
  const Metadata facts = facts_of(common, split);
  std::optional<RunDirectory> run;  // one process at a time holds it
  if (ranks.first()) run.emplace(settings.out);
  const std::optional<SafetensorsFile> saved = checkpoint_to_resume(settings.out, settings.resume);
  if (saved) require_same_facts(*saved, {}, facts, settings.resume, common);
  Scorer scorer = make_scorer(settings, common, split.train[0].image.width);
  if (saved) scorer.network().load_state_dict(raw_weights(saved->tensors));
  if (saved && !saved->metadata.contains(kUnfinished)) return ranks.first() ? finish_scorer(*run, scorer, split) : 0;
  const int64_t batch = std::min(settings.batch, int64_t(split.train.size()));
  check_micro_batches(settings.micro_batches, batch);
  ranks.all(true);  // all have read what the first will write anew
  const int64_t per_epoch = int64_t(split.train.size()) / batch, steps = settings.epochs * per_epoch;

  Adam adam(scorer.network().parameters(), {.weight_decay = settings.weight_decay, .decoupled = true});
  const int64_t first_step = saved ? load_training_state(*saved, adam) : 0;
  JudgeTraining training{.name = "scorer",
                         .parameters = scorer.network().parameters(),
                         .buffers = buffers_of(scorer.network()),
                         .adam = std::move(adam),
                         .rate = warmed_cosine(settings.rate, 10, steps),
                         .device = parse_device(common.device),
                         .log = run ? open_log(*run, settings.tensorboard, common, first_step) : nullptr,
                         .progress = Progress("scorer", steps, "steps", common.quiet, first_step),
                         .ranks = ranks,
                         .micro_batches = settings.micro_batches};
  scorer.network().train();
  const auto step_of = [&](int64_t step) {
    const int64_t part = batch / settings.micro_batches;
    return guarded_step(training, step, [&](int64_t number) {
      const ScorerBatch drawn = draw_batch(split.train, common.seed, step * batch + number * part, part);
      return bce_with_logits(scorer.logits(drawn.images), drawn.targets.to(training.device));  // (6)
    });
  };
  int64_t done = first_step;
  if (!run) {  // a rank that does its share of each step, until the first says that there is no other
    while (done < steps && ranks.all(!interrupted()) && step_of(done)) ++done;
    return interrupted() ? interrupt_exit_code() : 0;
  }

  const int64_t looked = last_logged(run->file("log.jsonl"), "val_loss");
  const auto save = [&](int64_t at) { scorer.save(run->path(), at, training_state(training, at), unfinished(facts)); };
  // What is due after a step, unless it was done before the run was broken off; false: a signal ended it.
  const auto look = [&](int64_t at) {
    if (at % per_epoch != 0 || at == looked) return true;
    return unless_stopped(training.device, [&] { log_held_out_loss(scorer, split, at, *training.log); });
  };
  bool going = first_step == 0 || look(first_step);
  while (done < steps && ranks.all(going)) {
    going = step_of(done);
    if (!going) break;
    ++done;
    going = !interrupted() && look(done);
    if (going && done % settings.save_every == 0 && done < steps) save(done);
  }
  if (!going || done < steps) {
    save(done);
    return say_interrupted(common, done, steps);
  }
  training.progress.finish();
  training.log->sync();
  scorer.save(run->path(), steps, {}, facts);
  return finish_scorer(*run, scorer, split);
}

}  // namespace

void add_scorer(Options& program) {
  static Settings settings;
  Options& options = program.subcommand("scorer", "Trains the judge, a ResNet-18 with one logit, on labelled pictures.",
                                        "dtrain scorer --labels labels.jsonl --out runs/scorer");
  options.add("--labels", settings.labels, "labels file of dlabel score", "FILE").required();
  options.add_flag("--allow-outside", settings.allow_outside, "pictures may lie outside the labels file's folder");
  options.add("--out", settings.out, "run directory to write", "DIR").required();
  declare_micro_batches(options, settings.micro_batches);
  declare_resume(options, settings.resume);
  declare_tensorboard(options, settings.tensorboard);
  options.add("--fill", settings.fill, "data set whose pictures, as they are and degraded, fill a class with too few",
              "DIR");
  options.add(
      "--init", settings.init,
      "ResNet-18 of torchvision to begin with, in any container; three channels are summed, other heads replaced",
      "FILE");
  options.add("--image-size", settings.image_size, "size the pictures are resized to", {16, 1024}, "pixels",
              "as they are");
  add_fit(options, settings.fit);
  options.add("--run", settings.run, "run of dtrain diffusion whose fit to follow", "RUN", "as --fit says");
  options.add_choice("--arch", settings.architecture,
                     "resnet18: the paper's judge | cnn: plain, for a second judge that checks the first",
                     {"resnet18", "cnn"});
  options.add("--width", settings.width, "channels of the first stage", {1, 256}, "channels");
  options.add("--per-class", settings.per_class, "pictures of each class, training and held-out together", {4, 1000000},
              "pictures");
  options.add("--held-out", settings.held_out, "share of each class that is held out, by whole groups", {0.05, 0.9},
              "fraction");
  options.add("--split-seed", settings.split_seed, "draws which groups are held out: a second judge takes another",
              {0, 1000000000}, "number");
  options.add("--epochs", settings.epochs, "passes over the training pictures", {1, 100000}, "epochs");
  options.add("--batch", settings.batch, "pictures per step", {2, 4096}, "pictures");
  options.add("--lr", settings.rate, "highest learning rate; warm-up, then half a cosine down to 0", {1e-8, 1},
              "per step");
  options.add("--weight-decay", settings.weight_decay, "AdamW's decay", {0, 10}, "per step, times the rate");
  options.add("--save-every", settings.save_every, "steps between checkpoints to go on from", {1, 1000000}, "steps");
  options.runs_on_cuda(gpu_of_rank);
  options.rule([] {
    check_input(settings.init.empty() || settings.architecture == "resnet18", Fault::kUsage,
                "--init: expected --arch resnet18, found ", settings.architecture, "; leave one out");
  });
  options.body([](const Common& common) {
    return on_ranks(common, [](Communicator& ranks, const Common& own) { return train_scorer(settings, own, ranks); });
  });
}

}  // namespace echodiff
