// What a judge is worth, where pictures share masks: trajectories of one mask are alike, so intervals resample whole
// masks; and a judge that only knows good masks from poor ones selects masks, so pairs within one are counted apart.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "quality/statistics/estimates.h"

namespace echodiff {

struct Judged {
  double score = 0;
  bool good = false;
  int64_t mask = 0;
};

// The chance that of a good and a poor picture of one mask, all such pairs alike, the good one scores higher; ties
// count half. NaN for no pairs.
struct WithinMasks {
  double auroc = 0;
  int64_t pairs = 0;
};
WithinMasks auroc_within_masks(const std::vector<Judged>& judged);
double auroc_of(const std::vector<Judged>& judged);  // over all pairs

// The bootstrap of a statistic over whole masks.
Estimate bootstrap_over_masks(const std::vector<Judged>& judged,
                              const std::function<double(const std::vector<Judged>&)>& statistic);

}  // namespace echodiff
