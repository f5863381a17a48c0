// The numbers of the report, from runs and data: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dreport/comparison.h"
#include "dreport/runs.h"
#include "quality/labels/thresholds.h"
#include "quality/statistics/estimates.h"
#include "train/data/dataset.h"

namespace echodiff {

// Means over pictures.
struct MeanMetrics {
  int64_t pictures = 0;
  double sharpness = kNotGiven, contrast = kNotGiven, noise = kNotGiven;
};
MeanMetrics mean_of(const std::vector<Metrics>& metrics);

// The rule of the whole report, and where it comes from (one phrase).
struct ReportRule {
  std::optional<Thresholds> thresholds;
  std::string origin;
};

// A data set at the samples' size: the training pictures, or the masks a run was given (with or without pictures).
struct PictureSet {
  Dataset dataset;
  std::vector<Metrics> metrics;  // one per example, where measured
  bool sector = false;           // some sector leaves out a part of the picture
  bool pictures = true;          // false: masks only
  const Example* find(const std::string& file) const;
};

// What the report is made from.
struct Material {
  RunSet runs;
  std::optional<PictureSet> real;           // the training data
  std::map<std::string, PictureSet> masks;  // by SamplingRun::masks, where it isn't the training data
  ReportRule rule;
  std::vector<PolicyResult> policies;  // compare_policies(runs), once the samples are measured

  // The masks that `run` was conditioned on, null where they aren't known.
  const PictureSet* masks_of(const SamplingRun& run) const;
};

// The rule, in this order: the given one, the one of a run's labels.jsonl, one calibrated on the real pictures as
// `dlabel calibrate` would (quantile 0.9), none.
ReportRule choose_rule(const std::optional<Thresholds>& given, const std::string& given_path, const RunSet& runs,
                       const std::optional<PictureSet>& real);

// Fills in metrics and, with a rule, the verdict of every sample whose picture is there. With region "sector" a sample
// needs its mask; the others stay unmeasured.
void measure_samples(Material& material);
void measure_set(PictureSet& set, const MetricOptions& options, bool in_sector);

// What a sampling run cost and gave. Counts go over the trajectories with a verdict where they say "good".
struct Yield {
  int64_t trajectories = 0, kept = 0, measured = 0;
  double calls = 0;
  double seconds = kNotGiven;
  Proportion good;  // kept pictures that the rule calls good, of those measured
  double calls_per_kept = kNotGiven, seconds_per_kept = kNotGiven;
  double calls_per_good = kNotGiven, seconds_per_good = kNotGiven;
};
Yield yield_of(const SamplingRun& run);

// Learned anatomy: is planes[0] (liver, nerve) brighter or darker than planes[1] (vein, vessel) in a sample by at least
// half of what it is in the training pictures? Only pictures with kFewestPixels of both planes count.
constexpr int64_t kFewestPixels = 8;
struct PlaneLevel {
  std::string plane;
  double samples = kNotGiven, training = kNotGiven;  // mean grey, 0..255
};
struct Adherence {
  std::string first, second;               // plane names
  double training_difference = kNotGiven;  // mean of planes[0] - planes[1], grey levels
  Proportion samples, real;                // how many have the sign and at least half of the size
  double sample_difference = kNotGiven;
  std::vector<PlaneLevel> levels;  // every plane but the sector
  bool has_sector = false;
  double outside_mean = kNotGiven, outside_worst = kNotGiven,
         outside_training = kNotGiven;  // mean grey outside the sector: all samples, worst, training
  int64_t compared = 0;                 // samples whose mask is in the data set
};
// `masks` holds the masks of the run's samples, `real` the training pictures. nullopt when they don't name the same
// planes, or fewer than two beside the sector.
std::optional<Adherence> adherence_of(const SamplingRun& run, const PictureSet& masks, const PictureSet& real);

// The bound of the sector test: a mean of 3 of 255.
constexpr double kOutsideLimit = 3;

}  // namespace echodiff
