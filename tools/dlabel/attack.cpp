// dlabel attack: pictures that a judge must not take for good ones, and whether it does; and whether it lets good ones
// pass.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "dlabel/dlabel.h"
#include "quality/evaluate/attacks.h"
#include "quality/evaluate/guard.h"
#include "quality/judges/scorer.h"
#include "quality/labels/metrics.h"
#include "quality/labels/thresholds.h"
#include "quality/recordings/picture_list.h"
#include "quality/sampling/network.h"
#include "quality/statistics/estimates.h"
#include "tensor/io/file.h"
#include "tensor/io/lock.h"
#include "tensor/io/text.h"
#include "train/data/dataset.h"
#include "train/data/image.h"
#include "train/folder/listing.h"
#include "train/folder/planes.h"
#include "train/folder/split.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

struct Settings {
  std::string images, out, scorer, diffusion, masks, thresholds, fit = "pad", best = "on";
  std::vector<std::string> samples, guard_samples;
  int64_t image_size = 64, count = 50;
  double tau = 0.95, quantile = 0.9;
  bool allow_unfinished = false;
};

using Pictures = Guard::Pictures;

std::vector<const Example*> of_split(const Dataset& data, const std::string& split) {
  std::vector<const Example*> examples;
  for (const Example& example : data.examples)
    if (example.split == split) examples.push_back(&example);
  return examples;
}

Pictures pictures_of(const std::vector<const Example*>& examples) {
  Pictures pictures;
  for (const Example* example : examples) {
    pictures.images.push_back(example->image);
    pictures.sectors.push_back(example->planes.back());
  }
  return pictures;
}

// Class index by pixel, from the planes but the sector.
GrayImage classes_of(const Example& example) {
  GrayImage classes{example.image.width, example.image.height, std::vector<uint8_t>(example.image.pixels.size())};
  for (size_t p = 0; p + 1 < example.planes.size(); ++p)
    for (size_t i = 0; i < classes.pixels.size(); ++i)
      if (example.planes[p].pixels[i] != 0) classes.pixels[i] = uint8_t(p + 1);
  return classes;
}

Pictures attacked(const std::string& name, const Settings& settings, const std::vector<const Example*>& held_out,
                  const std::vector<const Example*>& training, uint64_t seed) {
  Pictures pictures;
  for (int64_t i = 0; i < settings.count; ++i) {
    const Example& source = *held_out[size_t(i) % held_out.size()];
    const Example& copied = *training[size_t(i * int64_t(training.size()) / settings.count) % training.size()];
    const GrayImage classes = classes_of(source);
    const AttackSource parts{source.image, source.planes.back(), classes, copied.image};
    pictures.images.push_back(attack(name, parts, seed + uint64_t(i)));
    pictures.sectors.push_back(name == "near_copy" ? copied.planes.back() : source.planes.back());
  }
  return pictures;
}

// Of the last attack, which needs a network (predicted_attack).
constexpr const char* kPredicted = "x0hat_half";

Pictures predicted(const Settings& settings, const std::vector<const Example*>& held_out, const Common& common) {
  const LoadedDenoiser run = load_denoiser_run(settings.diffusion, {.best = settings.best == "on"});
  if (!run.best.empty()) note(common, run.best);
  check_input(run.options.image_channels == 1 && run.image_size == settings.image_size, Fault::kBadInput,
              settings.diffusion, ": expected a network of grey pictures of ", settings.image_size, " pixels, found ",
              run.options.image_channels, " channels of ", run.image_size, "; change --image-size");
  std::vector<const Example*> sources;
  for (int64_t i = 0; i < settings.count; ++i) sources.push_back(held_out[size_t(i) % held_out.size()]);
  Pictures pictures = pictures_of(sources);
  pictures.images = predicted_attack(network_of(run), schedule_of(run), run.prediction, sources, common.seed);
  return pictures;
}

// A data-set folder: images/, sector/ and index.csv, whose column `group` names the attack.
void write_pictures(const std::string& out, const std::string& name, const Pictures& pictures, std::string& index) {
  for (size_t i = 0; i < pictures.images.size(); ++i) {
    char file[64];
    std::snprintf(file, sizeof file, "%s_%06zu.png", name.c_str(), i);
    write_png(out + "/images/" + file, pictures.images[i]);
    GrayImage sector = pictures.sectors[i];
    for (uint8_t& pixel : sector.pixels) pixel = pixel != 0 ? 255 : 0;
    write_png(out + "/sector/" + file, sector);
    index += std::string(file) + ",test," + name + "\n";
  }
}

Pictures sampled(const std::vector<std::string>& folders, const std::string& masks, int64_t size) {
  Pictures pictures;
  for (const std::string& folder : folders)
    for (const ListedPicture& listed : list_pictures(folder, masks)) {
      const GrayImage whole = read_picture(listed.path);
      pictures.images.push_back(fit_area(whole, size, listed.fit));
      // Data without sectors fill their pictures, as load_dataset has it.
      pictures.sectors.push_back(listed.sector_path.empty()
                                     ? GrayImage{size, size, std::vector<uint8_t>(size_t(size * size), 1)}
                                     : read_sector(listed, whole.width, whole.height, size, listed.fit));
    }
  return pictures;
}

// The sampled pictures that the metric rule calls good: a judge of it should let them pass.
Pictures metric_good(const Settings& settings) {
  const Thresholds rule = read_thresholds(settings.thresholds);
  require_same_size(rule, settings.image_size, settings.image_size, settings.thresholds);
  const Pictures all = sampled(settings.samples, settings.masks, settings.image_size);
  Pictures good;
  for (size_t i = 0; i < all.images.size(); ++i) {
    if (!is_good(measure(all.images[i], rule.metric, region_of(rule, all.sectors[i])), rule)) continue;
    good.images.push_back(all.images[i]);
    good.sectors.push_back(all.sectors[i]);
  }
  check_input(!good.images.empty(), Fault::kBadInput, settings.samples[0], ": no sample is good by ",
              settings.thresholds);
  return good;
}

std::string share_text(int64_t k, size_t n) {
  const Proportion share = wilson(k, int64_t(n));
  char text[64];
  std::snprintf(text, sizeof text, "%5.1f %% [%5.1f, %5.1f]", 100 * share.fraction, 100 * share.low, 100 * share.high);
  return text;
}

// One line: how many the scorer rejects, the guard flags, and either; for real pictures either's complement is the pass
// rate.
void print_verdicts(const std::string& name, const Pictures& pictures, const Guard& guard, const Scorer& scorer,
                    double tau) {
  const std::vector<std::string> flags = guard.flags(pictures);
  const std::vector<double> scores = scorer.score(pointers_to(pictures.images));
  int64_t rejected = 0, flagged = 0, either = 0;
  for (size_t i = 0; i < flags.size(); ++i) {
    rejected += scores[i] < tau;
    flagged += !flags[i].empty();
    either += scores[i] < tau || !flags[i].empty();
  }
  std::printf("%-17s %5zu  %-24s  %-24s  %-24s\n", name.c_str(), flags.size(),
              share_text(rejected, flags.size()).c_str(), share_text(flagged, flags.size()).c_str(),
              share_text(either, flags.size()).c_str());
}

// The real pictures, in the planes, by the fit and held out as --diffusion has them, where it is given.
Dataset read_real(const Settings& settings, const Common& common) {
  const std::string& run = settings.diffusion;
  const Fit fit = run.empty() ? parse_fit(settings.fit) : fit_of_run(run);
  Dataset data = load_dataset({.directory = settings.images, .image_size = settings.image_size, .fit = fit});
  if (!run.empty()) {
    const std::vector<std::string> planes = load_denoiser_run(run).planes;
    if (!planes.empty()) order_planes(data, planes, run, settings.images);
    follow_split(run, data, settings.images);
  }
  for (const std::string& line : data.notes) note(common, line);
  note(common, summary_of(data, settings.images));
  return data;
}

int run_attack(const Settings& settings, const Common& common) {
  const Dataset data = read_real(settings, common);
  const std::vector<const Example*> training = of_split(data, "train");
  const std::vector<const Example*> held_out = of_split(data, "test");
  check_input(!held_out.empty() && !training.empty(), Fault::kBadInput, settings.images, ": no ",
              held_out.empty() ? "test" : "train", " pictures; index.csv must name some");
  const Pictures good = settings.samples.empty() ? Pictures() : metric_good(settings);
  const Pictures usual = sampled(settings.guard_samples, settings.masks, settings.image_size);
  const FolderLock lock(settings.out);
  make_directories(settings.out + "/images");
  make_directories(settings.out + "/sector");
  std::string index = "file,split,group\n";
  std::vector<std::string> names = attack_names();
  if (!settings.diffusion.empty()) names.push_back(kPredicted);
  std::vector<Pictures> sets;
  for (const std::string& name : names) {
    if (interrupted()) return interrupt_exit_code();
    sets.push_back(name == kPredicted ? predicted(settings, held_out, common)
                                      : attacked(name, settings, held_out, training, common.seed));
    write_pictures(settings.out, name, sets.back(), index);
  }
  write_file_atomic(settings.out + "/index.csv", index);
  std::printf("%zu attacks, %lld pictures each, in %s\n", sets.size(), static_cast<long long>(settings.count),
              settings.out.c_str());
  if (settings.diffusion.empty()) std::printf("left out: %s, which needs --diffusion RUN\n", kPredicted);
  if (settings.scorer.empty()) return 0;

  const Scorer scorer = load_scorer_run(settings.scorer, settings.allow_unfinished);
  std::vector<const Example*> real = of_split(data, "val");
  real.insert(real.end(), training.begin(), training.end());
  const Guard guard(pictures_of(real), usual, settings.quantile);
  std::printf("%-17s %5s  %-24s  %-24s  %-24s\n", "attack", "n", "rejected [95 %]", "flagged", "either");
  for (size_t i = 0; i < sets.size(); ++i) print_verdicts(names[i], sets[i], guard, scorer, settings.tau);
  print_verdicts("held-out real", pictures_of(held_out), guard, scorer, settings.tau);
  if (!settings.samples.empty()) print_verdicts("good samples", good, guard, scorer, settings.tau);
  return 0;
}

}  // namespace

void add_attack(Options& root) {
  static Settings settings;
  Options& options =
      root.subcommand("attack", "Writes pictures that a judge must reject, and measures whether it does.",
                      "dlabel attack --images data --out attacks --scorer scorer");
  options
      .add("--images", settings.images, "data-set folder; its test pictures are attacked, its training pictures copied",
           "DIR")
      .required();
  options.add("--out", settings.out, "folder to write: images/, sector/, index.csv with the attack as group", "DIR")
      .required();
  options.add("--image-size", settings.image_size, "side of the pictures, resized by area", {16, 1024}, "pixels");
  options.add("--count", settings.count, "pictures of each attack", {1, 100000}, "pictures");
  options.add("--scorer", settings.scorer,
              "print the share that this judge rejects, and that the guard flags (fitted on training and val pictures)",
              "RUN");
  options.add(
      "--diffusion", settings.diffusion,
      "one attack more: what this network takes for the finished picture at T/2 (x0hat_half); pictures are held "
      "out and made square as it has them",
      "RUN", "left out");
  declare_best(options, settings.best);
  options.add_choice("--fit", settings.fit, "how pictures that aren't square become so, without --diffusion",
                     {"squash", "pad", "crop"});
  options.add_list("--samples", settings.samples,
                   "outputs of dsample: one line more, for those of their pictures that --thresholds calls good",
                   "DIR");
  options.add_list("--guard-samples", settings.guard_samples,
                   "outputs of dsample --policy none, other ones: the guard knows them beside the real pictures",
                   "DIR");
  options.add("--masks", settings.masks, "data-set folder that samples were drawn for", "DIR");
  options.add("--thresholds", settings.thresholds, "the metric rule, from dlabel calibrate", "FILE");
  options.rule([] {
    check_input(settings.samples.empty() ||
                    (!settings.scorer.empty() && !settings.masks.empty() && !settings.thresholds.empty()),
                Fault::kUsage, "--samples: needs --scorer, --masks and --thresholds");
    check_input(settings.guard_samples.empty() || (!settings.scorer.empty() && !settings.masks.empty()), Fault::kUsage,
                "--guard-samples: needs --scorer and --masks");
  });
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take a judge in the midst of its training");
  options.add("--tau", settings.tau, "the scorer rejects below it", {0, 1}, "score");
  options.add("--guard-quantile", settings.quantile,
              "share of real pictures, and of samples, that the guard's statistics let pass", {0.5, 1}, "fraction");
  options.body([](const Common& common) { return run_attack(settings, common); });
}

}  // namespace echodiff
