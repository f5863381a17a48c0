#include "dreport/measures.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/statistics/estimates.h"

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
    if (example.file == file) return &example;
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

struct GreyMean {
  int64_t pixels = 0;
  double level = kNotGiven;
};

GreyMean mean_where(const GrayImage& image, const GrayImage& plane, bool inside) {
  GreyMean mean;
  double sum = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if ((plane.pixels[i] != 0) != inside) continue;
    sum += image.pixels[i];
    ++mean.pixels;
  }
  if (mean.pixels > 0) mean.level = sum / double(mean.pixels);
  return mean;
}

// planes[0] - planes[1] in grey levels; nullopt where one of them has too few pixels.
std::optional<double> difference(const GrayImage& image, const Example& example) {
  const GreyMean first = mean_where(image, example.planes[0], true);
  const GreyMean second = mean_where(image, example.planes[1], true);
  if (first.pixels < kFewestPixels || second.pixels < kFewestPixels) return std::nullopt;
  return first.level - second.level;
}

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
  if (names.size() < 3 || masks.dataset.plane_names != names) return std::nullopt;
  Adherence result;
  result.first = names[0];
  result.second = names[1];
  result.has_sector = masks.sector;

  const size_t organs = names.size() - 1;
  std::vector<double> training, all_real, sampled, outside, training_outside;
  std::vector<std::vector<double>> training_levels(organs), sample_levels(organs);
  const auto collect = [organs](const GrayImage& image, const Example& example,
                                std::vector<std::vector<double>>& levels) {
    for (size_t p = 0; p < organs; ++p) {
      const GreyMean grey = mean_where(image, example.planes[p], true);
      if (grey.pixels >= kFewestPixels) levels[p].push_back(grey.level);
    }
  };
  for (const Example& example : real.dataset.examples) {
    const std::optional<double> step = difference(example.image, example);
    if (step) all_real.push_back(*step);
    if (example.split != "train") continue;
    if (step) training.push_back(*step);
    collect(example.image, example, training_levels);
    const GreyMean dark = mean_where(example.image, example.planes.back(), false);
    if (dark.pixels > 0) training_outside.push_back(dark.level);
  }
  for (const Sample& sample : run.samples) {
    if (!sample.kept()) continue;
    const Example* example = masks.find(sample.mask);
    if (example == nullptr || example->planes.back().width != sample.image.width) continue;
    ++result.compared;
    if (const std::optional<double> step = difference(sample.image, *example)) sampled.push_back(*step);
    collect(sample.image, *example, sample_levels);
    const GreyMean dark = mean_where(sample.image, example->planes.back(), false);
    if (dark.pixels > 0) outside.push_back(dark.level);
  }
  result.training_difference = mean(training);
  result.sample_difference = mean(sampled);
  result.outside_training = mean(training_outside);
  if (!training.empty()) {
    result.samples = share_like(sampled, result.training_difference);
    result.real = share_like(all_real, result.training_difference);
  }
  for (size_t p = 0; p < organs; ++p) {
    result.levels.push_back({names[p], mean(sample_levels[p]), mean(training_levels[p])});
  }
  if (!outside.empty()) {
    result.outside_mean = mean(outside);
    result.outside_worst = *std::max_element(outside.begin(), outside.end());
  }
  return result;
}

}  // namespace echodiff
