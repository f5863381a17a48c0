// How well scores in [0, 1] tell good pictures from poor ones, and whether 0.8 means 8 of 10.
#pragma once

#include <cstdint>
#include <vector>

namespace echodiff {

// The chance that a good picture scores above a poor one, ties counted half (Mann & Whitney 1947). NaN when a class is
// empty.
double auroc(const std::vector<double>& scores, const std::vector<bool>& good);

struct ReliabilityBin {
  double low = 0, high = 1;
  int64_t count = 0;
  double mean_score = 0, fraction_good = 0;
};

struct Calibration {
  double accuracy = 0;               // at 0.5
  double brier = 0;                  // mean squared difference of score and label
  double ece = 0;                    // expected calibration error over the bins
  std::vector<ReliabilityBin> bins;  // ten, of equal width
};
Calibration calibration_of(const std::vector<double>& scores, const std::vector<bool>& good);

// Platt 1999: the chance that a picture is good, 1 / (1 + exp(-(slope logit + offset))).
struct Platt {
  double slope = 1, offset = 0;
  double probability(double logit) const;
};
double logit_of(double score);  // of a score in 0..1, kept 1e-6 away from both ends

// The least cross-entropy of `targets` (0..1) plus pull/2 ((slope - 1)^2 + offset^2), by Newton's method.
Platt fit_logistic(const std::vector<double>& logits, const std::vector<double>& targets, double pull);

// The likeliest one with slope >= 0, so that no ranking is turned round, targets smoothed as Platt's: (n+ + 1)/(n+ + 2)
// and 1/(n- + 2). The identity for no logits.
Platt fit_platt(const std::vector<double>& logits, const std::vector<bool>& good);

}  // namespace echodiff
