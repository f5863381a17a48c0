#include "quality/statistics/judge_metrics.h"

#include <cmath>
#include <limits>
#include <map>

#include "kernels/philox.h"
#include "quality/statistics/calibration.h"
#include "quality/statistics/quantile.h"

namespace echodiff {
namespace {

std::map<int64_t, std::vector<Judged>> by_mask(const std::vector<Judged>& judged) {
  std::map<int64_t, std::vector<Judged>> groups;
  for (const Judged& one : judged) groups[one.mask].push_back(one);
  return groups;
}

}  // namespace

double auroc_of(const std::vector<Judged>& judged) {
  std::vector<double> scores;
  std::vector<bool> good;
  for (const Judged& one : judged) scores.push_back(one.score), good.push_back(one.good);
  return auroc(scores, good);
}

WithinMasks auroc_within_masks(const std::vector<Judged>& judged) {
  WithinMasks result;
  double won = 0;
  for (const auto& [mask, members] : by_mask(judged)) {
    int64_t good = 0;
    for (const Judged& one : members) good += one.good ? 1 : 0;
    const int64_t pairs = good * (int64_t(members.size()) - good);
    if (pairs == 0) continue;
    won += double(pairs) * auroc_of(members);
    result.pairs += pairs;
  }
  result.auroc = result.pairs > 0 ? won / double(result.pairs) : std::numeric_limits<double>::quiet_NaN();
  return result;
}

MaskInterval bootstrap_over_masks(const std::vector<Judged>& judged, const Statistic& statistic, int64_t resamples,
                                  uint64_t seed) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  MaskInterval interval{judged.empty() ? kNan : statistic(judged), kNan, kNan};
  std::vector<std::vector<Judged>> groups;
  for (auto& [mask, members] : by_mask(judged)) groups.push_back(members);
  std::vector<double> values;
  for (int64_t round = 0; round < resamples && !groups.empty(); ++round) {
    Random random(seed, uint64_t(round));
    std::vector<Judged> drawn;
    for (size_t place = 0; place < groups.size(); ++place)  // a mask drawn twice is two masks
      for (Judged one : groups[size_t(random.below(int64_t(groups.size())))]) {
        one.mask = int64_t(place);
        drawn.push_back(one);
      }
    const double value = statistic(drawn);
    if (std::isfinite(value)) values.push_back(value);
  }
  if (std::isfinite(interval.value) && 2 * int64_t(values.size()) >= resamples && !values.empty()) {
    interval.low = quantile_of(values, 0.025);
    interval.high = quantile_of(values, 0.975);
  }
  return interval;
}

}  // namespace echodiff
