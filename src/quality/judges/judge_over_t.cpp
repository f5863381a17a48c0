#include "quality/judges/judge_over_t.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

namespace echodiff {
namespace {

double share_of_good(const std::vector<Judged>& drawn) {
  const int64_t good = std::count_if(drawn.begin(), drawn.end(), [](const Judged& one) { return one.good; });
  return double(good) / double(drawn.size());
}

}  // namespace

std::vector<AurocAtTime> auroc_over_t(const std::vector<JudgedFrame>& frames) {
  std::map<int64_t, std::vector<Judged>, std::greater<>> by_time;
  for (const JudgedFrame& frame : frames) by_time[frame.t].push_back({frame.logit, frame.good, frame.mask});
  std::vector<AurocAtTime> rows;
  for (const auto& [t, judged] : by_time) {
    AurocAtTime& row = rows.emplace_back();
    row.t = t;
    std::set<int64_t> masks;
    for (const Judged& one : judged) {
      masks.insert(one.mask);
      ++(one.good ? row.good : row.poor);
    }
    row.masks = int64_t(masks.size());
    row.pairs = auroc_within_masks(judged).pairs;
    row.all = bootstrap_over_masks(judged, auroc_of);
    row.within =
        bootstrap_over_masks(judged, [](const std::vector<Judged>& drawn) { return auroc_within_masks(drawn).auroc; });
  }
  return rows;
}

Reliability reliability_of(const std::vector<JudgedFrame>& frames, const std::vector<double>& chances) {
  std::vector<bool> good;
  for (const JudgedFrame& frame : frames) good.push_back(frame.good);
  const Calibration calibration = calibration_of(chances, good);
  Reliability result{calibration.brier, calibration.ece, {}};
  const int64_t bins = int64_t(calibration.bins.size());
  for (int64_t place = 0; place < bins; ++place) {
    const ReliabilityBin& bin = calibration.bins[size_t(place)];
    if (bin.count == 0) continue;
    std::vector<Judged> members;
    for (size_t i = 0; i < frames.size(); ++i)
      if (std::min(int64_t(chances[i] * double(bins)), bins - 1) == place)
        members.push_back({chances[i], frames[i].good, frames[i].mask});
    result.bins.push_back({bin, bootstrap_over_masks(members, share_of_good)});
  }
  return result;
}

}  // namespace echodiff
