// What a judge is worth, where pictures share masks: trajectories of one mask are alike, so intervals resample whole masks;
// and a judge that only knows good masks from poor ones selects masks, so pairs within one mask are counted apart.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

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

// A statistic with its 95 % interval from `resamples` draws of as many whole masks, with replacement (percentiles). NaN
// where it isn't defined; no interval where less than half of the draws define it.
struct MaskInterval {
  double value = 0, low = 0, high = 0;
};
using Statistic = std::function<double(const std::vector<Judged>&)>;
MaskInterval bootstrap_over_masks(const std::vector<Judged>& judged, const Statistic& statistic, int64_t resamples,
                                  uint64_t seed);

}  // namespace echodiff
