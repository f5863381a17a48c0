// dlabel evaluate: sampling runs against held-out real pictures, as evaluation.json (quality/evaluate/evaluation.h).
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <numeric>

#include "dlabel/dlabel.h"
#include "quality/evaluate/distribution.h"
#include "quality/evaluate/evaluation.h"
#include "quality/evaluate/guard.h"
#include "quality/evaluate/memorisation.h"
#include "quality/judges/segmenter.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

constexpr size_t kPairs = 8;

struct Settings {
  std::vector<std::string> samples;
  std::string data, masks, features, segmenter, judge, out;
  std::optional<int64_t> image_size, count;
  int64_t neighbours = 5;
  double tau = 0.5;
};

struct Picture {
  std::string file, mask;  // mask: of the data set, that it was drawn from
  GrayImage image;
  std::optional<double> outside;  // energy outside of the sector, where that is known
};
using Pictures = std::vector<Picture>;

std::vector<GrayImage> images_of(const Pictures& pictures) {
  std::vector<GrayImage> images;
  for (const Picture& picture : pictures) images.push_back(picture.image);
  return images;
}

// A run that says which masks it was drawn for must have been drawn for these: other masks may have the same names.
void require_masks(const std::string& run, const std::string& masks) {
  const std::filesystem::path config = std::filesystem::path(run) / "config.toml";
  if (!std::filesystem::exists(config)) return;
  const std::map<std::string, std::string> values = read_flat_toml(config.string());
  const std::map<std::string, std::string>::const_iterator named = values.find("masks");
  if (named == values.end() || !std::filesystem::is_directory(named->second)) return;
  check_input(std::filesystem::equivalent(named->second, masks), Fault::kBadInput, run, ": was drawn for the masks of ",
              named->second, ", not of ", masks, "; give --masks ", named->second);
}

// Of all folders, as one run.
Pictures read_run(const std::vector<std::string>& folders, const std::string& masks, int64_t size) {
  Pictures pictures;
  for (const std::string& folder : folders) {
    require_masks(folder, masks);
    const bool own_sectors = std::filesystem::is_directory(folder + "/sector");
    for (const ListedPicture& listed : list_pictures(folder, own_sectors ? "" : masks)) {
      const GrayImage image = resize_area(read_png(listed.path), size, size);
      std::optional<double> energy;
      // Of a plain folder nobody knows which sector a picture has, whatever its name.
      if (!listed.sector_path.empty() && !listed.group.empty())
        energy = outside_energy(image, read_sector(listed, size, size));
      pictures.push_back({listed.path, listed.group, image, energy});
    }
  }
  return pictures;
}

Pictures take_split(const Dataset& data, const std::vector<std::string>& splits, bool has_sector) {
  Pictures pictures;
  for (const Example& example : data.examples) {
    if (std::find(splits.begin(), splits.end(), example.split) == splits.end()) continue;
    std::optional<double> energy;
    if (has_sector) energy = outside_energy(example.image, example.planes.back());
    pictures.push_back({example.file, example.file, example.image, energy});
  }
  return pictures;
}

Pictures evenly_spaced(const Pictures& all, int64_t count) {
  Pictures some;
  const int64_t n = int64_t(all.size());
  for (int64_t i = 0; i < std::min(count, n); ++i) some.push_back(all[size_t(count >= n ? i : i * n / count)]);
  return some;
}

// What every run is held against.
struct Yardstick {
  ResNet18Run network;
  Dataset data;
  std::optional<Dataset> masks;  // where they are not those of the data
  std::optional<Segmenter> segmenter;
  std::optional<Scorer> judge;
  std::string split;  // held out
  Pictures held_out, training;

  Rows features(const Pictures& pictures) const { return features_of(network, images_of(pictures)); }
};

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
      if (example.file == picture.mask) {
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

std::optional<Scorer> load_judge(const Settings& settings, int64_t size) {
  if (settings.judge.empty()) return std::nullopt;
  std::optional<Scorer> judge(load_scorer_run(settings.judge));
  check_input(judge->options().image_size == size, Fault::kBadInput, settings.judge, ": was trained on pictures of ",
              judge->options().image_size, " pixels a side, these have ", size, "; train one on this size");
  return judge;
}

// "posthoc-101 and 2 more"
std::string short_name(const std::vector<std::string>& folders) {
  const std::string first = std::filesystem::path(folders[0]).filename().string();
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

void load_segmenter(const Settings& settings, Yardstick& yard) {
  if (settings.segmenter.empty()) return;
  if (!settings.masks.empty())
    yard.masks = load_dataset({.directory = settings.masks, .image_size = yard.data.image_size, .need_images = false});
  yard.segmenter.emplace(load_segmenter_run(settings.segmenter));
  const std::vector<std::string>& seen = yard.segmenter->options().classes;
  for (const Dataset* set : {&yard.data, yard.masks ? &*yard.masks : &yard.data}) {
    const std::vector<std::string> classes(set->plane_names.begin(), set->plane_names.end() - 1);
    check_input(classes == seen, Fault::kBadInput, settings.segmenter, ": finds ", join(seen), ", the masks of ",
                set == &yard.data ? settings.data : settings.masks, " show ", join(classes));
  }
}

Yardstick load_yardstick(const Settings& settings, const std::string& first_folder, int64_t needed, uint64_t seed) {
  Yardstick yard{load_resnet18_run(settings.features), {}, {}, {}, {}, {}, {}, {}};
  const int64_t size = settings.image_size.value_or(read_png(list_pictures(first_folder)[0].path).width);
  yard.data = load_dataset(
      {.directory = settings.data, .image_size = size, .seed = seed, .need_masks = !settings.segmenter.empty()});
  load_segmenter(settings, yard);
  yard.judge = load_judge(settings, size);
  const std::vector<Example>& examples = yard.data.examples;
  const bool has_sector = std::filesystem::is_directory(settings.data + "/sector");
  const bool has_test =
      std::any_of(examples.begin(), examples.end(), [](const Example& e) { return e.split == "test"; });
  yard.split = has_test ? "test" : "val";
  yard.held_out = take_split(yard.data, {yard.split}, has_sector);
  yard.training = take_split(
      yard.data, has_test ? std::vector<std::string>{"train", "val"} : std::vector<std::string>{"train"}, has_sector);
  for (const Pictures* part : {&yard.held_out, &yard.training})
    check_input(int64_t(part->size()) >= needed, Fault::kBadInput, settings.data, ": ", part->size(),
                part == &yard.held_out ? " held-out" : " training", " pictures, expected at least ", needed);
  return yard;
}

// All but the runs.
Evaluation begin_evaluation(const Settings& settings, const Yardstick& yard, const Rows& real, const TrainingSet& set,
                            const std::vector<Nearest>& nearest_held_out) {
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

int evaluate(const Settings& settings, const Common& common) {
  const std::vector<std::vector<std::string>> groups = parse_samples(settings.samples);
  const int64_t needed = std::max<int64_t>(settings.neighbours + 1, 3);
  const Yardstick yard = load_yardstick(settings, groups[0][0], needed, common.seed);
  Progress progress("evaluating", int64_t(groups.size()) + 1, "runs", common.quiet);
  const Rows real = yard.features(yard.held_out);
  const TrainingSet set(images_of(yard.training));
  const std::vector<Nearest> nearest_held_out = set.nearest_to(images_of(yard.held_out));
  Evaluation all = begin_evaluation(settings, yard, real, set, nearest_held_out);
  Rows first;
  for (const std::vector<std::string>& folders : groups) {
    if (interrupted()) return interrupt_exit_code();
    Pictures pictures =
        read_run(folders, settings.masks.empty() ? settings.data : settings.masks, yard.data.image_size);
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
  static Settings settings;
  Options& options =
      root.subcommand("evaluate", "Measures sampling runs against held-out real pictures.",
                      "dlabel evaluate --samples a b --data data --features scorer --out evaluation.json");
  options
      .add_list("--samples", settings.samples,
                "outputs of dsample, or folders of PNG pictures; joined by commas, folders are one run: seeds of one "
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
  options.add("--masks", settings.masks, "data-set folder whose masks the samples were drawn for", "DIR", "as --data");
  options.add("--segmenter", settings.segmenter,
              "run of dtrain segmenter: how well a sample shows the mask it was drawn from", "RUN");
  options.add(
      "--judge", settings.judge,
      "run of dtrain scorer that has selected nothing (--arch cnn, another --split-seed): which share it calls good",
      "RUN");
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
