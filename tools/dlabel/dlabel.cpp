// dlabel: labels pictures good or poor by their metrics, has a person refine the labels, and evaluates samples.
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "dlabel/dlabel.h"
#include "quality/labels/labels.h"
#include "quality/labels/review_page.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/file.h"
#include "tensor/io/lock.h"
#include "train/data/image.h"
#include "train/folder/listing.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

constexpr double kAnyTau = 1e12;

struct MeasureFlags {
  std::string images, masks, region, run, fit = "pad";
  std::optional<int64_t> size;
  std::optional<double> sigma, scale;

  // How to measure where nothing else was asked for.
  void set_defaults(const MetricOptions& metric, const std::string& default_region) {
    sigma = sigma.value_or(metric.sigma);
    scale = scale.value_or(metric.scale);
    if (region.empty()) region = default_region;
  }
};

// `otherwise`: what sigma, scale and region are when not given, appended to their defaults in --help.
void declare_measure(Options& options, MeasureFlags& flags, const std::string& otherwise) {
  options.add("--images", flags.images, "data-set folder, output of dsample, or plain folder of pictures", "DIR")
      .required();
  options.add("--size", flags.size, "resize pictures (by area) to this side before measuring", {16, 1024}, "pixels",
              "as they are");
  options.add_choice("--fit", flags.fit, "with --size: how pictures that aren't square become so",
                     {"squash", "pad", "crop"});
  options.add("--run", flags.run, "with --size: run of dtrain diffusion whose fit to follow", "RUN", "as --fit says");
  options.add("--sigma", flags.sigma, "Gaussian of the noise metric, equation (3)", {0.05, 20}, "pixels",
              "0.5" + otherwise);
  options.add("--scale", flags.scale, "intensity that white stands for", {1e-3, 1e6}, "grey levels", "255" + otherwise);
  options.add_choice("--region", flags.region, "where the statistics are taken", {"image", "sector"},
                     "image" + otherwise);
  options.add("--masks", flags.masks, "data-set folder that samples were drawn from, for their sectors", "DIR",
              "DIR of --images");
}

struct Measured {
  ListedPicture picture;
  Metrics metrics;
  int64_t width = 0, height = 0;
};

// Every picture of the folder, measured; fewer when the user interrupts.
std::vector<Measured> measure_folder(const MeasureFlags& flags, const Common& common, const Thresholds* required) {
  const std::vector<ListedPicture> pictures = list_pictures(flags.images, flags.masks);
  const Fit fit = flags.run.empty() ? parse_fit(flags.fit) : fit_of_run(flags.run);
  std::vector<Measured> measured;
  Progress progress("measuring", int64_t(pictures.size()), "pictures", common.quiet);
  for (const ListedPicture& picture : pictures) {
    if (interrupted()) break;
    const GrayImage whole = read_picture(picture.path);
    const GrayImage image = flags.size ? fit_area(whole, *flags.size, fit) : whole;
    if (required) require_same_size(*required, image.width, image.height, picture.path);
    Measured one{picture, {}, image.width, image.height};
    std::optional<GrayImage> sector;
    if (flags.region == "sector") sector = read_sector(picture, whole.width, whole.height, flags.size.value_or(0), fit);
    one.metrics = measure(image, {*flags.sigma, *flags.scale}, sector ? &*sector : nullptr);
    measured.push_back(one);
    progress.update(int64_t(measured.size()));
  }
  return measured;
}

struct CalibrateFlags {
  MeasureFlags measure;
  std::string out, rule = "text";
  double quantile = 0.9;
};

int run_calibrate(CalibrateFlags flags, const Common& common) {
  flags.measure.set_defaults({}, "image");
  const std::vector<Measured> measured = measure_folder(flags.measure, common, nullptr);
  if (interrupted()) return interrupt_exit_code();
  std::vector<Metrics> metrics;
  for (const Measured& one : measured) {
    check_input(one.width == measured[0].width && one.height == measured[0].height, Fault::kBadInput, one.picture.path,
                ": is ", one.width, "x", one.height, ", the first picture is ", measured[0].width, "x",
                measured[0].height, "; metrics depend on the size: give --size");
    metrics.push_back(one.metrics);
  }
  Thresholds thresholds = calibrate(metrics, flags.quantile);
  thresholds.rule = parse_rule(flags.rule);
  thresholds.metric = {*flags.measure.sigma, *flags.measure.scale};
  thresholds.region = flags.measure.region;
  thresholds.width = measured[0].width;
  thresholds.height = measured[0].height;
  write_thresholds(flags.out, thresholds);
  int64_t good = 0;
  for (const Metrics& one : metrics) good += is_good(one, thresholds);
  std::cout << "thresholds from " << metrics.size() << " pictures of " << thresholds.width << "x" << thresholds.height
            << ": sharpness " << thresholds.tau_sharpness << ", contrast " << thresholds.tau_contrast << ", noise "
            << thresholds.tau_noise << "; by rule " << flags.rule << " " << good << " of these are good\n";
  return 0;
}

struct ScoreFlags {
  MeasureFlags measure;
  std::string out, thresholds, preset, rule, origin;
  std::optional<double> tau_sharpness, tau_contrast, tau_noise;
};

// The thresholds that the flags ask for. What they say about the metrics is taken from the file when no flag says it;
// a flag that contradicts the file is refused, since its numbers hold for its own metrics only.
Thresholds resolve_thresholds(ScoreFlags& flags) {
  MeasureFlags& measure = flags.measure;
  Thresholds thresholds = preset_thresholds(flags.preset.empty() ? "paper" : flags.preset);
  if (flags.thresholds.empty()) {
    measure.set_defaults({}, "image");
    thresholds.metric = {*measure.sigma, *measure.scale};
    thresholds.region = measure.region;
  } else {
    thresholds = read_thresholds(flags.thresholds);
    measure.set_defaults(thresholds.metric, thresholds.region);
    check_input(*measure.sigma == thresholds.metric.sigma && *measure.scale == thresholds.metric.scale &&
                    measure.region == thresholds.region,
                Fault::kBadInput, flags.thresholds, ": was measured with --sigma ", thresholds.metric.sigma,
                " --scale ", thresholds.metric.scale, " --region ", thresholds.region,
                " and holds for these only; leave them out or calibrate again");
  }
  if (!flags.rule.empty()) thresholds.rule = parse_rule(flags.rule);
  if (flags.tau_sharpness) thresholds.tau_sharpness = *flags.tau_sharpness;
  if (flags.tau_contrast) thresholds.tau_contrast = *flags.tau_contrast;
  if (flags.tau_noise) thresholds.tau_noise = *flags.tau_noise;
  if (flags.tau_sharpness || flags.tau_contrast || flags.tau_noise) {
    check_input(thresholds.rule != Rule::kBand, Fault::kUsage,
                "--tau-sharpness, --tau-contrast, --tau-noise: rule band doesn't read them; use --rule text or eq4");
    thresholds.source = "flags";
  }
  return thresholds;
}

int run_score(ScoreFlags flags, const Common& common) {
  const bool folder = std::filesystem::is_directory(flags.measure.images);
  check_input(folder, Fault::kMissingInput, flags.measure.images, ": no such folder (--images)");
  Labels labels{resolve_thresholds(flags), {}};
  if (labels.thresholds.width == 0)
    note(common, concat_message("thresholds ", labels.thresholds.tau_sharpness, " / ", labels.thresholds.tau_contrast,
                                " / ", labels.thresholds.tau_noise,
                                " were not measured on pictures of this size (the paper's fit 256x256); see dlabel "
                                "calibrate"));
  const std::vector<Measured> measured = measure_folder(flags.measure, common, &labels.thresholds);
  if (interrupted()) return interrupt_exit_code();
  int64_t good = 0;
  for (const Measured& one : measured) {
    LabelledImage image;
    image.file = file_in_labels(one.picture.path, flags.out);
    image.metrics = one.metrics;
    image.good = is_good(one.metrics, labels.thresholds);
    image.group = one.picture.group;
    image.origin = flags.origin;
    labels.images.push_back(image);
  }
  const FileLock lock(flags.out);
  if (const int64_t kept = keep_decisions(flags.out, labels); kept > 0)
    note(common, concat_message(flags.out, ": ", kept, " decisions that were there are kept"));
  for (const LabelledImage& image : labels.images) good += image.good;
  write_labels(flags.out, labels);
  std::cout << measured.size() << " pictures: " << good << " good, " << int64_t(measured.size()) - good
            << " poor by rule " << rule_name(labels.thresholds.rule) << "\n";
  return 0;
}

void declare_calibrate(Options& options, CalibrateFlags& flags) {
  declare_measure(options, flags.measure, "");
  options.add("--out", flags.out, "threshold file to write", "FILE").required();
  options.add("--quantile", flags.quantile,
              "share of the pictures that each gate lets pass; the bands reach from the lesser of it and 1 - it to the "
              "greater",
              {0.05, 1}, "fraction");
  options.add_choice("--rule", flags.rule, "which rule the file asks for (see dlabel score --help)",
                     {"text", "eq4", "band"});
  options.body([&flags](const Common& common) { return run_calibrate(flags, common); });
}

void declare_score(Options& options, ScoreFlags& flags) {
  declare_measure(options, flags.measure, ", or as --thresholds says");
  options.add("--out", flags.out, "labels file to write; names pictures relative to its folder", "FILE").required();
  options.add("--thresholds", flags.thresholds, "threshold file of dlabel calibrate; sets sigma, scale, region", "FILE",
              "the preset");
  options.add_choice("--preset", flags.preset, "the paper's 200 / 20 / 0.3, by its text or by its equation (4)",
                     {"paper", "eq4"}, "paper");
  const std::string unset = "thresholds or preset";
  options.add("--tau-sharpness", flags.tau_sharpness, "sharpness threshold", {0, kAnyTau}, "grey levels squared",
              unset);
  options.add("--tau-contrast", flags.tau_contrast, "contrast threshold", {0, kAnyTau}, "grey levels", unset);
  options.add("--tau-noise", flags.tau_noise, "noise threshold", {0, kAnyTau}, "grey levels", unset);
  options.add_choice("--rule", flags.rule,
                     "text: good iff sharpness < tau, contrast > tau, noise < tau; eq4: sharpness >= tau, contrast >= "
                     "tau, noise <= tau; band: each within its calibrated band",
                     {"text", "eq4", "band"}, "text, or as --thresholds or --preset say");
  options.add("--origin", flags.origin, "where the pictures come from, kept with each label (sampled, training)",
              "NAME");
  options.rule([&flags] {
    check_input(flags.thresholds.empty() || flags.preset.empty(), Fault::kUsage,
                "--thresholds and --preset: give one of them");
    check_input(flags.rule != "band" || !flags.thresholds.empty(), Fault::kUsage,
                "--rule band: needs the bands of a calibrated file, give --thresholds");
  });
  options.body([&flags](const Common& common) { return run_score(flags, common); });
}

struct RefineFlags {
  std::string labels, decisions, out;
  int64_t count = 200;
  bool allow_outside = false;
};

int run_review(const RefineFlags& flags) {
  const Labels labels = read_label_file(flags.labels, flags.allow_outside);
  write_file_atomic(flags.out, review_page(labels));
  std::cout << labels.images.size() << " pictures to review: open " << flags.out
            << " in a browser, then dlabel apply with what it exports\n";
  return 0;
}

int run_apply(const RefineFlags& flags) {
  const FileLock lock(flags.labels);
  Labels labels = read_label_file(flags.labels, /*allow_outside=*/true);  // pictures aren't opened
  const Decisions decisions = read_decisions(flags.decisions);
  const Applied applied = apply_decisions(labels, decisions, flags.decisions);
  write_labels(flags.labels, labels);
  std::cout << decisions.list.size() << " decisions by a " << decisions.source << ": " << applied.confirmed
            << " confirmed, " << applied.flipped << " flipped\n";
  return 0;
}

int run_balance(const RefineFlags& flags, const Common& common) {
  const Labels labels = read_label_file(flags.labels, /*allow_outside=*/true);
  int64_t good = 0;
  for (const LabelledImage& image : labels.images) good += image.good;
  const int64_t poor = int64_t(labels.images.size()) - good;
  Labels balanced = balance_labels(labels, flags.count, common.seed);
  const std::string out =
      flags.out.empty() ? std::filesystem::path(flags.labels).replace_extension(".balanced.jsonl").string() : flags.out;
  std::error_code error;
  check_input(!std::filesystem::equivalent(out, flags.labels, error), Fault::kCannotCreate, out,
              ": is the file to draw from, and what is not drawn would be lost; name another");
  for (LabelledImage& image : balanced.images) image.file = file_in_labels(image.path, out);
  if (std::min(good, poor) < flags.count / 2)
    note(common, concat_message("only ", std::min(good, poor), " ", good < poor ? "good" : "poor", " pictures, ",
                                flags.count / 2, " of each class were asked for: each class gets ",
                                balanced.images.size() / 2));
  write_labels(out, balanced);
  std::cout << balanced.images.size() << " labels in " << out << ": " << balanced.images.size() / 2
            << " of each class, from " << good << " good and " << poor << " poor\n";
  return 0;
}

void declare_refine(Options& root, RefineFlags& flags) {
  Options& review = root.subcommand("review", "Writes a page on which a person confirms or flips each label.",
                                    "dlabel review labels.jsonl --out review.html");
  review.add_positional("labels", flags.labels, "labels file to review").required();
  review.add("--out", flags.out, "page to write, one self-contained HTML file", "FILE").required();
  review.add_flag("--allow-outside", flags.allow_outside, "pictures may lie outside the labels file's folder");
  review.body([&flags](const Common&) { return run_review(flags); });

  Options& apply = root.subcommand("apply", "Sets labels by the decisions that the review page exported.",
                                   "dlabel apply labels.jsonl decisions.json");
  apply.add_positional("labels", flags.labels, "labels file to change").required();
  apply.add_positional("decisions", flags.decisions, "decisions.json of the review page").required();
  apply.body([&flags](const Common&) { return run_apply(flags); });

  Options& balance = root.subcommand("balance", "Draws as many good as poor labels, for training the scorer.",
                                     "dlabel balance labels.jsonl --count 200");
  balance.add_positional("labels", flags.labels, "labels file to draw from").required();
  balance.add("--count", flags.count, "labels to draw, half of each class", {2, 10000000}, "labels");
  balance.add("--out", flags.out, "labels file to write", "FILE", "labels.balanced.jsonl beside labels.jsonl");
  balance.body([&flags](const Common& common) { return run_balance(flags, common); });
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  CalibrateFlags calibrate;
  ScoreFlags score;
  RefineFlags refine;
  const ProgramInfo info{"dlabel", "Labels pictures good or poor, by metrics and by eye.",
                         "dlabel score --images samples --thresholds thresholds.json --out labels.jsonl"};
  return run_program(argc, argv, info, [&](Options& root) {
    declare_calibrate(root.subcommand("calibrate", "Measures thresholds on good pictures of the same size.",
                                      "dlabel calibrate --images data --size 64 --out thresholds.json"),
                      calibrate);
    declare_score(root.subcommand("score", "Labels each picture by sharpness, contrast and noise.",
                                  "dlabel score --images samples --thresholds thresholds.json --out labels.jsonl"),
                  score);
    declare_refine(root, refine);
    add_evaluate(root);
    add_attack(root);
  });
}
