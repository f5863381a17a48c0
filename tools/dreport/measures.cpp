#include "dreport/measures.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/statistics/estimates.h"
#include "train/folder/listing.h"
#include "train/folder/planes.h"

namespace echodiff {

MeanMetrics mean_of(const std::vector<Metrics>& metrics) {
  MeanMetrics mean;
  mean.pictures = int64_t(metrics.size());
  if (metrics.empty()) return mean;
  mean.sharpness = mean.contrast = mean.noise = 0;
  for (const Metrics& one : metrics) {
    mean.sharpness += one.sharpness / double(metrics.size());
    mean.contrast += one.contrast / double(metrics.size());
    mean.noise += one.noise / double(metrics.size());
  }
  return mean;
}

const Example* PictureSet::find(const std::string& file) const {
  for (const Example& example : dataset.examples) {
    if (same_picture(example.file, file)) return &example;
  }
  return nullptr;
}

ReportRule choose_rule(const std::optional<Thresholds>& given, const std::string& given_path, const RunSet& runs,
                       const std::optional<PictureSet>& real) {
  if (given) return {given, "the thresholds of " + given_path};
  for (const SamplingRun& run : runs.sampling) {
    if (run.labels) return {run.labels->thresholds, "the first line of " + run.place.name + "/labels.jsonl"};
  }
  if (!real) return {};
  PictureSet measured = *real;
  measure_set(measured, MetricOptions{}, false);
  Thresholds thresholds = calibrate(measured.metrics, 0.9);
  thresholds.width = thresholds.height = real->dataset.image_size;
  return {thresholds, "quantiles (0.9) of the data set's own pictures, since no threshold file was given"};
}

const PictureSet* Material::masks_of(const SamplingRun& run) const {
  if (run.masks.empty() || run.masks == runs.data) return real ? &*real : nullptr;
  const std::map<std::string, PictureSet>::const_iterator found = masks.find(run.masks);
  return found == masks.end() ? nullptr : &found->second;
}

void measure_set(PictureSet& set, const MetricOptions& options, bool in_sector) {
  set.metrics.clear();
  for (const Example& example : set.dataset.examples) {
    set.metrics.push_back(measure(example.image, options, in_sector ? &example.planes.back() : nullptr));
  }
}

void measure_samples(Material& material) {
  const bool ruled = material.rule.thresholds.has_value();
  const Thresholds rule = material.rule.thresholds.value_or(Thresholds{});
  for (SamplingRun& run : material.runs.sampling) {
    const PictureSet* masks = material.masks_of(run);
    for (Sample& sample : run.samples) {
      if (sample.image.pixels.empty()) continue;
      const GrayImage* region = nullptr;
      if (rule.region == "sector") {
        const Example* example = masks != nullptr ? masks->find(sample.mask) : nullptr;
        if (example == nullptr || example->planes.back().width != sample.image.width) continue;
        region = &example->planes.back();
      }
      sample.metrics = measure(sample.image, rule.metric, region);
      if (!ruled) continue;
      require_same_size(rule, sample.image.width, sample.image.height,
                        run.place.path + ": picture " + std::to_string(sample.index));
      sample.good = is_good(*sample.metrics, rule);
    }
  }
}

Yield yield_of(const SamplingRun& run) {
  Yield yield;
  yield.trajectories = run.totals.trajectories;
  yield.kept = run.guided() ? run.totals.kept : 0;
  yield.calls = run.calls;
  yield.seconds = run.seconds;
  int64_t good = 0, kept_lines = 0;
  for (const Sample& sample : run.samples) {
    if (!sample.kept()) continue;
    ++kept_lines;
    if (!sample.good) continue;
    ++yield.measured;
    if (*sample.good) ++good;
  }
  if (!run.guided()) yield.kept = kept_lines;
  yield.good = wilson(good, yield.measured);
  if (yield.kept > 0) {
    yield.calls_per_kept = yield.calls / double(yield.kept);
    yield.seconds_per_kept = yield.seconds / double(yield.kept);
  }
  if (good > 0) {
    yield.calls_per_good = yield.calls / double(good);
    yield.seconds_per_good = yield.seconds / double(good);
  }
  return yield;
}

namespace {

// Mean grey of the plane's pixels, or of those outside of it; NaN where they are fewer than `fewest`.
double mean_where(const GrayImage& image, const GrayImage& plane, bool inside, int64_t fewest) {
  int64_t pixels = 0;
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if ((plane.pixels[i] != 0) != inside) continue;
    sum += image.pixels[i];
    ++pixels;
  }
  return pixels < fewest ? kNotGiven : sum / double(pixels);
}

// Mean greys, one for each picture that has enough of the pixels.
struct GreyLevels {
  std::vector<std::vector<double>> organs;             // by plane
  std::vector<double> differences = {}, outside = {};  // planes[0] - planes[1]; outside the sector

  void add(const GrayImage& image, const Example& example) {
    const auto append = [](std::vector<double>& levels, double level) {
      if (!std::isnan(level)) levels.push_back(level);
      return level;
    };
    std::vector<double> levels;
    for (size_t p = 0; p < organs.size(); ++p)
      levels.push_back(append(organs[p], mean_where(image, example.planes[p], true, kFewestPixels)));
    append(differences, levels[0] - levels[1]);
    append(outside, mean_where(image, example.planes.back(), false, 1));
  }
};

double mean(const std::vector<double>& values) { return values.empty() ? kNotGiven : mean_of(values).value; }

Proportion share_like(const std::vector<double>& differences, double training) {
  const double sign = training < 0 ? -1 : 1;
  const int64_t hits = std::count_if(differences.begin(), differences.end(),
                                     [&](double value) { return sign * value >= sign * training / 2; });
  return wilson(hits, int64_t(differences.size()));
}

}  // namespace

std::optional<Adherence> adherence_of(const SamplingRun& run, const PictureSet& masks, const PictureSet& real) {
  const std::vector<std::string>& names = real.dataset.plane_names;
  if (names.size() < 3) return std::nullopt;
  if (masks.dataset.plane_names != names) {  // the same in another order, or others
    PictureSet ordered = masks;
    try {
      order_planes(ordered.dataset, names, "the data", "the masks");
    } catch (const Error&) {
      return std::nullopt;
    }
    if (ordered.dataset.plane_names == names) return adherence_of(run, ordered, real);
    return std::nullopt;
  }
  Adherence result;
  result.first = names[0];
  result.second = names[1];
  result.has_sector = masks.sector;

  const std::vector<std::vector<double>> organs(names.size() - 1);
  GreyLevels all_real{organs}, training{organs}, sampled{organs};
  for (const Example& example : real.dataset.examples) {
    all_real.add(example.image, example);
    if (example.split == "train") training.add(example.image, example);
  }
  for (const Sample& sample : run.samples) {
    if (!sample.kept()) continue;
    const Example* example = masks.find(sample.mask);
    if (example == nullptr || example->planes.back().width != sample.image.width) continue;
    ++result.compared;
    sampled.add(sample.image, *example);
  }
  result.training_difference = mean(training.differences);
  result.sample_difference = mean(sampled.differences);
  if (!training.differences.empty()) {
    result.samples = share_like(sampled.differences, result.training_difference);
    result.real = share_like(all_real.differences, result.training_difference);
  }
  for (size_t p = 0; p < organs.size(); ++p)
    result.levels.push_back({names[p], mean(sampled.organs[p]), mean(training.organs[p])});
  result.outside_training = mean(training.outside);
  result.outside_mean = mean(sampled.outside);
  if (!sampled.outside.empty())
    result.outside_worst = *std::max_element(sampled.outside.begin(), sampled.outside.end());
  return result;
}

}  // namespace echodiff
