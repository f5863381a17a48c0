// What a judge is worth by time, on frames of trajectories whose end is known: AUROC at each t, and reliability.
// Intervals resample whole masks (judge_metrics.h).
#pragma once

#include <cstdint>
#include <vector>

#include "quality/statistics/calibration.h"
#include "quality/statistics/judge_metrics.h"

namespace echodiff {

struct JudgedFrame {
  double logit = 0;   // or any score: only its order counts for the AUROC
  bool good = false;  // the finished picture
  int64_t mask = 0, t = 0;
};

struct AurocAtTime {
  int64_t t = 0, good = 0, poor = 0, masks = 0, pairs = 0;  // pairs: within masks
  Estimate all, within;                                     // over all pairs; over pairs of one mask
};
// One for each t that frames have, the greatest first.
std::vector<AurocAtTime> auroc_over_t(const std::vector<JudgedFrame>& frames);

struct ReliabilityShare : ReliabilityBin {
  Estimate share;  // of good ones
};
struct Reliability {
  double brier = 0, ece = 0;
  std::vector<ReliabilityShare> bins;  // those that hold frames
};
// `chances[i]` in 0..1 is what the judge gives frame i.
Reliability reliability_of(const std::vector<JudgedFrame>& frames, const std::vector<double>& chances);

}  // namespace echodiff
