// dlabel evaluate: sampling runs against held-out real pictures, as evaluation.json (quality/evaluate/evaluation.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>

#include "dlabel/dlabel.h"
#include "dlabel/yardstick.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/evaluation.h"
#include "quality/evaluate/memorisation.h"
#include "tensor/io/text.h"
#include "train/data/image.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

constexpr size_t kPairs = 8;

Pictures evenly_spaced(const Pictures& all, int64_t count) {
  Pictures some;
  const int64_t n = int64_t(all.size());
  for (int64_t i = 0; i < std::min(count, n); ++i) some.push_back(all[size_t(count >= n ? i : i * n / count)]);
  return some;
}

EvaluatedPart part_of(const Pictures& pictures, const Rows& features, const Rows& real, int64_t k) {
  const Neighbourhood near = neighbourhood(features, real, k);
  std::vector<double> outside;
  for (const Picture& picture : pictures)
    if (picture.outside) outside.push_back(*picture.outside);
  EvaluatedPart part;
  part.n = features.count;
  part.kid = kernel_distance(features, real);
  part.fid = frechet_distance(features, real);
  part.precision = wilson(near.precise, features.count);
  part.density = near.density;
  part.recall = wilson(near.recalled, real.count);
  part.coverage = wilson(near.covered, real.count);
  if (!outside.empty()) part.outside_energy = mean_of(outside);
  return part;
}

Proportion share_of(const std::vector<double>& values, const std::function<bool(double)>& counts) {
  return wilson(std::count_if(values.begin(), values.end(), counts), int64_t(values.size()));
}

Proportion copied_detail(const TrainingSet& training, const Pictures& pictures, double limit) {
  return share_of(training.shared_detail(images_of(pictures)), [&](double one) { return one > limit; });
}

void add_memorisation(EvaluatedRun& run, const Pictures& pictures, const std::vector<Nearest>& nearest,
                      const std::vector<Nearest>& held_out, const Pictures& training) {
  const Memorisation result = memorisation(nearest, held_out);
  const int64_t n = int64_t(pictures.size());
  run.copies = wilson(result.copies, n);
  run.median_nearest = result.median;
  run.closer_than_held_out = result.closer;
  std::vector<size_t> order(nearest.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return nearest[a].distance < nearest[b].distance; });
  order.resize(std::min(order.size(), kPairs));
  for (size_t i : order)
    run.pairs.push_back({pictures[i].file, training[size_t(nearest[i].index)].file, nearest[i].distance});
  run.distinct = wilson(distinct_count(thumbnails(images_of(pictures)), copy_distance(held_out)), n);
}

// Where the segmenter sees each class, against the mask that the picture was drawn from.
MaskAgreement agreement_of(const std::optional<Segmenter>& segmenter, const Pictures& pictures, const Dataset& masks) {
  MaskAgreement agreement;
  if (!segmenter) return agreement;
  std::vector<GrayImage> images;
  std::vector<const std::vector<GrayImage>*> planes;
  for (const Picture& picture : pictures)
    for (const Example& example : masks.examples)
      if (same_picture(example.file, picture.mask)) {
        images.push_back(picture.image);
        planes.push_back(&example.planes);
      }
  const DiceScores scores = dice_scores(*segmenter, images, planes);
  if (scores.mean.empty()) return agreement;
  agreement.mean = mean_of(scores.mean);
  for (size_t c = 0; c < scores.by_class.size(); ++c)
    if (!scores.by_class[c].empty())
      agreement.classes.emplace_back(segmenter->options().classes[c], mean_of(scores.by_class[c]));
  return agreement;
}

Proportion judged_good(const std::optional<Scorer>& judge, const Pictures& pictures, double tau) {
  if (!judge) return {};
  const std::vector<GrayImage> images = images_of(pictures);
  return share_of(judge->score(pointers_to(images)), [&](double score) { return score >= tau; });
}

// "posthoc-101 and 2 more"
std::string short_name(const std::vector<std::string>& folders) {
  const std::string first = printable(std::filesystem::path(folders[0]).filename().string());
  return folders.size() == 1 ? first : concat_message(first, " and ", folders.size() - 1, " more");
}

void print_row(const std::string& name, const EvaluatedPart& part, const EvaluatedRun* run) {
  std::printf("%-24s %6lld  %8.4f [%.4f, %.4f]  %8.2f  %5.3f %5.3f %5.3f %5.3f", name.c_str(),
              static_cast<long long>(part.n), part.kid.value, part.kid.low, part.kid.high, part.fid.value,
              part.precision.fraction, part.recall.fraction, part.density.value, part.coverage.fraction);
  if (run != nullptr) std::printf("  %5.3f  %5.3f", run->copies.fraction, run->distinct.fraction);
  std::printf("\n");
}

// What judge and segmenter say, where there are any.
void print_marks(const std::string& name, const Proportion& judged, const MaskAgreement& agreement) {
  if (judged.n > 0)
    std::printf("%s: %lld of %lld are good by the judge [%.3f, %.3f]\n", name.c_str(), static_cast<long long>(judged.k),
                static_cast<long long>(judged.n), judged.low, judged.high);
  if (std::isnan(agreement.mean.value)) return;
  const auto print = [&](const std::string& label, const Estimate& one) {
    std::printf("%s: Dice of %s %.3f [%.3f, %.3f]\n", name.c_str(), label.c_str(), one.value, one.low, one.high);
  };
  for (const auto& [label, one] : agreement.classes) print(label, one);
  print("all classes", agreement.mean);
}

// The folders of each run.
std::vector<std::vector<std::string>> parse_samples(const std::vector<std::string>& samples) {
  std::vector<std::vector<std::string>> groups;
  for (const std::string& names : samples) {
    groups.push_back(split(names));
    check_input(!groups.back().empty(), Fault::kUsage, "--samples: expected folders joined by commas, found nothing");
  }
  return groups;
}

// All but the runs.
Evaluation begin_evaluation(const EvaluateSettings& settings, const Yardstick& yard, const Rows& real,
                            const TrainingSet& set, const std::vector<Nearest>& nearest_held_out) {
  Evaluation all;
  all.path = settings.out;
  all.features = settings.features;
  all.feature_count = real.width;
  all.channels = yard.network.options.in_channels;
  all.feature_size = yard.network.image_size;
  all.judge = settings.judge;
  all.tau = settings.tau;
  all.data = settings.data;
  all.image_size = yard.data.image_size;
  all.neighbours = settings.neighbours;
  all.training = int64_t(yard.training.size());
  all.held_out = int64_t(yard.held_out.size());
  all.held_out_split = yard.split;
  all.fit = name_of(yard.data.fit);
  all.copy_distance = copy_distance(nearest_held_out);
  all.copy_detail = copy_detail(set);
  all.held_out_copied_detail = copied_detail(set, yard.held_out, all.copy_detail);
  all.median_held_out = memorisation(nearest_held_out, nearest_held_out).median;
  all.held_out_agreement = agreement_of(yard.segmenter, yard.held_out, yard.data);
  all.held_out_judged_good = judged_good(yard.judge, yard.held_out, settings.tau);
  return all;
}

void print(const Evaluation& all) {
  std::printf("against %lld held-out pictures (%s) of %s; features of %s\n", static_cast<long long>(all.held_out),
              all.held_out_split.c_str(), all.data.c_str(), all.features.c_str());
  std::printf("%-24s %6s  %-25s  %8s  %5s %5s %5s %5s  %5s  %5s\n", "run", "n", "KID [95 %]", "FID", "prec", "rec",
              "dens", "cov", "copy", "dist");
  for (const EvaluatedRun& run : all.runs) print_row(short_name(run.folders), run, &run);
  print_row("training pictures", all.real, nullptr);
  for (const EvaluatedRun& run : all.runs) print_marks(short_name(run.folders), run.judged_good, run.agreement);
  print_marks("held-out pictures", all.held_out_judged_good, all.held_out_agreement);
}

int evaluate(const EvaluateSettings& settings, const Common& common) {
  const std::vector<std::vector<std::string>> groups = parse_samples(settings.samples);
  const int64_t needed = std::max<int64_t>(settings.neighbours + 1, 3);
  const Yardstick yard = load_yardstick(settings, common, groups, needed);
  Progress progress("evaluating", int64_t(groups.size()) + 1, "runs", common.quiet);
  const Rows real = yard.features(yard.held_out);
  const TrainingSet set(images_of(yard.training));
  const std::vector<Nearest> nearest_held_out = set.nearest_to(images_of(yard.held_out));
  Evaluation all = begin_evaluation(settings, yard, real, set, nearest_held_out);
  Rows first;
  for (const std::vector<std::string>& folders : groups) {
    if (interrupted()) return interrupt_exit_code();
    Pictures pictures =
        read_run(folders, settings.masks.empty() ? settings.data : settings.masks, yard.data.image_size, yard.data.fit);
    const int64_t least = std::max(needed, settings.count.value_or(needed));
    check_input(int64_t(pictures.size()) >= least, Fault::kBadInput, join(folders), ": ", pictures.size(),
                " pictures, expected at least ", least);
    if (settings.count) pictures = evenly_spaced(pictures, *settings.count);
    const Rows features = yard.features(pictures);
    EvaluatedRun run{
        part_of(pictures, features, real, settings.neighbours), folders, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    if (all.runs.empty())
      first = features;
    else
      run.kid_minus_first = kernel_difference(features, first, real);
    run.judged_good = judged_good(yard.judge, pictures, settings.tau);
    add_memorisation(run, pictures, set.nearest_to(images_of(pictures)), nearest_held_out, yard.training);
    run.copied_detail = copied_detail(set, pictures, all.copy_detail);
    run.agreement = agreement_of(yard.segmenter, pictures, yard.masks ? *yard.masks : yard.data);
    all.runs.push_back(run);
    progress.update(int64_t(all.runs.size()));
  }
  const Pictures perfect = evenly_spaced(yard.training, all.runs[0].n);
  all.real = part_of(perfect, yard.features(perfect), real, settings.neighbours);
  progress.update(int64_t(groups.size()) + 1);
  write_evaluation(all);
  print(all);
  return 0;
}

}  // namespace

void add_evaluate(Options& root) {
  static EvaluateSettings settings;
  Options& options =
      root.subcommand("evaluate", "Measures sampling runs against held-out real pictures.",
                      "dlabel evaluate --samples a b --data data --features scorer --out evaluation.json");
  options
      .add_list("--samples", settings.samples,
                "outputs of dsample, or folders of pictures; joined by commas, folders are one run: seeds of one "
                "policy. The KID of each is compared with the first's",
                "DIR[,DIR...]")
      .required();
  options
      .add("--data", settings.data,
           "data-set folder the model was trained on; its test pictures are the real ones (val "
           "where it has none)",
           "DIR")
      .required();
  options
      .add("--features", settings.features,
           "run of dtrain scorer, or of dweights import --as resnet18, whose last features "
           "are compared; best not the judge that chose the samples",
           "RUN")
      .required();
  options.add("--out", settings.out, "evaluation.json to write", "FILE").required();
  options.add("--run", settings.run,
              "run of dtrain diffusion: held out is what it held out, and pictures become square as its do", "RUN",
              "the model that the samples name");
  options.add("--masks", settings.masks, "data-set folder whose masks the samples were drawn for", "DIR", "as --data");
  options.add("--segmenter", settings.segmenter,
              "run of dtrain segmenter: how well a sample shows the mask it was drawn from", "RUN");
  options.add(
      "--judge", settings.judge,
      "run of dtrain scorer that has selected nothing (--arch cnn, another --split-seed): which share it calls good",
      "RUN");
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take a judge in the midst of its training");
  options.add("--tau", settings.tau, "score from which the judge calls a picture good", {0, 1}, "score");
  options.add("--count", settings.count, "pictures taken of each run, spread evenly over it: equal numbers for FID",
              {3, 1000000}, "pictures", "all");
  options.add("--image-size", settings.image_size, "pictures are resized (by area) to this side", {16, 1024}, "pixels",
              "that of the first sample");
  options.add("--neighbours", settings.neighbours, "k of precision, recall, density and coverage", {1, 100},
              "pictures");
  options.body([](const Common& common) { return evaluate(settings, common); });
}

}  // namespace echodiff
