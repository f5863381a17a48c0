// dlabel evaluate: sampling runs against held-out real pictures, as evaluation.json (quality/evaluate/evaluation.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>

#include "dlabel/dlabel.h"
#include "dlabel/evaluation_text.h"
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

// Why a segmenter must not be asked about samples, by how it does on held-out pictures; "" where it may.
std::string refusal_of(const Segmenter& segmenter, const MaskAgreement& held_out, double least) {
  std::string reasons;
  for (const std::string& name : segmenter.options().classes) {
    const auto found = std::find_if(held_out.classes.begin(), held_out.classes.end(),
                                    [&](const auto& one) { return one.first == name; });
    const bool seen = found != held_out.classes.end();
    if (seen && found->second.value >= least) continue;
    char text[64] = "no held-out picture shows it";
    if (seen) std::snprintf(text, sizeof text, "held-out Dice %.3f, below %g", found->second.value, least);
    reasons += (reasons.empty() ? "" : "; ") + name + ": " + text;
  }
  return reasons;
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
                            const TrainingSet& set, const std::vector<Nearest>& nearest_held_out,
                            const std::vector<PictureTexture>& textures) {
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
  all.least_dice = settings.least_dice;
  if (yard.segmenter) all.dice_refused = refusal_of(*yard.segmenter, all.held_out_agreement, settings.least_dice);
  all.held_out_judged_good = judged_good(yard.judge, yard.held_out, settings.tau);
  all.held_out_texture = texture_alone(textures);
  return all;
}

int evaluate(const EvaluateSettings& settings, const Common& common) {
  const std::vector<std::vector<std::string>> groups = parse_samples(settings.samples);
  const int64_t needed = std::max<int64_t>(settings.neighbours + 1, 3);
  const Yardstick yard = load_yardstick(settings, common, groups, needed);
  Progress progress("evaluating", int64_t(groups.size()) + 1, "runs", common.quiet);
  const Rows real = yard.features(yard.held_out);
  const TrainingSet set(images_of(yard.training));
  const std::vector<Nearest> nearest_held_out = set.nearest_to(images_of(yard.held_out));
  const RadiomicOptions radiomics{settings.bin_width, parse_numbers(settings.sigmas, "--sigmas")};
  const auto textures_in = [&](const Pictures& pictures) {
    return textures_of(images_of(pictures), sectors_of(pictures), radiomics);
  };
  const std::vector<PictureTexture> real_textures = textures_in(yard.held_out);
  Evaluation all = begin_evaluation(settings, yard, real, set, nearest_held_out, real_textures);
  if (!all.dice_refused.empty())
    note(common, concat_message("warning: ", settings.segmenter, " is no measure of samples (", all.dice_refused,
                                "); their Dice is left out. Train it longer, or lower --least-dice"));
  Rows first;
  for (const std::vector<std::string>& folders : groups) {
    if (interrupted()) return interrupt_exit_code();
    Pictures pictures =
        read_run(folders, settings.masks.empty() ? settings.data : settings.masks, yard.data, !yard.has_sectors);
    const int64_t least = std::max(needed, settings.count.value_or(needed));
    check_input(int64_t(pictures.size()) >= least, Fault::kBadInput, join(folders), ": ", pictures.size(),
                " pictures, expected at least ", least);
    if (settings.count) pictures = evenly_spaced(pictures, *settings.count);
    const Rows features = yard.features(pictures);
    EvaluatedRun run{
        part_of(pictures, features, real, settings.neighbours), folders, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    run.texture = texture_against(textures_in(pictures), real_textures);
    if (all.runs.empty())
      first = features;
    else
      run.kid_minus_first = kernel_difference(features, first, real);
    run.judged_good = judged_good(yard.judge, pictures, settings.tau);
    add_memorisation(run, pictures, set.nearest_to(images_of(pictures)), nearest_held_out, yard.training);
    run.copied_detail = copied_detail(set, pictures, all.copy_detail);
    if (all.dice_refused.empty())
      run.agreement = agreement_of(yard.segmenter, pictures, yard.masks ? *yard.masks : yard.data);
    all.runs.push_back(run);
    progress.update(int64_t(all.runs.size()));
  }
  const Pictures perfect = evenly_spaced(yard.training, all.runs[0].n);
  all.real = part_of(perfect, yard.features(perfect), real, settings.neighbours);
  all.real.texture = texture_against(textures_in(perfect), real_textures);
  progress.update(int64_t(groups.size()) + 1);
  write_evaluation(all);
  print_evaluation(all);
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
  options.add("--least-dice", settings.least_dice,
              "the segmenter isn't asked about samples unless it has this Dice on held-out pictures, in every class",
              {0, 1}, "Dice");
  options.add("--bin-width", settings.bin_width, "of the grey levels that radiomic features count", {0.01, 255},
              "grey levels");
  options.add("--sigmas", settings.sigmas, "of the Laplacians of Gaussians that radiomic features are taken of too",
              "PIXELS,..");
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take a judge in the midst of its training");
  options.add("--tau", settings.tau, "score from which the judge calls a picture good", {0, 1}, "score");
  options.add("--count", settings.count, "pictures taken of each run, spread evenly over it: equal numbers for FID",
              {3, 1000000}, "pictures", "all");
  options.add("--image-size", settings.image_size, "pictures are resized (by area) to this side", {16, 1024}, "pixels",
              "that of the first sample");
  options.add("--neighbours", settings.neighbours, "k of precision, recall, density and coverage", {1, 100},
              "pictures");
  options.rule([] {
    for (const double sigma : parse_numbers(settings.sigmas, "--sigmas"))
      check_input(sigma >= 0.1 && sigma <= 100, Fault::kUsage, "--sigmas: expected pixels from 0.1 to 100, found ",
                  sigma);
  });
  options.body([](const Common& common) { return evaluate(settings, common); });
}

}  // namespace echodiff
