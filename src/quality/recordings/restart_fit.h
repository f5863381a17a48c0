// Fits the restart rule (policy/restart.h) on a recording.
//
// At each look a logistic calibration (Platt 1999) from the judge's score to the finished picture's acceptance. Then
// lambda, the price of a call: lambda <- accepted / calls of the rule with lambda, from posthoc's value until it stays
// (Dinkelbach 1967: at the best rule the price is what the rule achieves). As looks to come are worth something too,
// the best of a few multiples of that price is taken. The held-out cost says what that is worth on trajectories not
// fitted on.
//
// For an equal quota of each mask, the cost is the mean over masks of calls / accepted, and a mask's price follows its
// own share of accepted pictures: lambda * share of the mask / share of all. Half an accepted picture is added to each
// mask, so that one without any has a cost.
#pragma once

#include <string>
#include <vector>

#include "quality/recordings/recording.h"
#include "quality/recordings/replay.h"
#include "quality/sampling/policy/restart.h"

namespace echodiff {

struct RestartFitOptions {
  ReplayOptions judges;
  double tau = 0.95;           // the finished picture must reach it
  std::vector<int64_t> looks;  // steps; empty: spread_looks(steps, 8)
  int64_t folds = 5;           // of masks, fewer where there are fewer; equal_quota: of each mask's trajectories
  bool equal_quota = false;
};

// After 1 to 0.8 `steps` calls, at most `count`, evenly on a log scale: early looks save the most.
std::vector<int64_t> spread_looks(int64_t steps, int64_t count);

// Throws Error(kUsage): a step that was not scored, no picture accepted or all of them, one mask or (equal_quota)
// one trajectory of a mask only.
RestartRule fit_restart(const Recording& recording, const RestartFitOptions& options);

// Logistic regression of outcomes on logits with a weak pull to offset 0, slope 1: the judge as it is.
RestartLook fit_calibration(int64_t step, const std::vector<double>& scores, const std::vector<bool>& outcomes);

}  // namespace echodiff
