#include "quality/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/error.h"

namespace echodiff {

double auroc(const std::vector<double>& scores, const std::vector<bool>& good) {
  check(scores.size() == good.size(), "auroc: ", scores.size(), " scores for ", good.size(), " labels");
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  double rank_sum = 0;  // of the good ones; equal scores share their mean rank
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && scores[order[end]] == scores[order[i]]) ++end;
    const double rank = 0.5 * double(i + 1 + end);
    for (; i < end; ++i) rank_sum += good[order[i]] ? rank : 0;
  }
  const double n_good = double(std::count(good.begin(), good.end(), true)), n_poor = double(good.size()) - n_good;
  if (n_good == 0 || n_poor == 0) return std::numeric_limits<double>::quiet_NaN();
  return (rank_sum - n_good * (n_good + 1) / 2) / (n_good * n_poor);
}

Calibration calibration_of(const std::vector<double>& scores, const std::vector<bool>& good) {
  constexpr int64_t kBins = 10;
  Calibration result;
  for (int64_t i = 0; i < kBins; ++i) result.bins.push_back({double(i) / kBins, double(i + 1) / kBins, 0, 0, 0});
  for (size_t i = 0; i < scores.size(); ++i) {
    ReliabilityBin& bin = result.bins[size_t(std::clamp(int64_t(scores[i] * kBins), int64_t(0), kBins - 1))];
    ++bin.count;
    bin.mean_score += scores[i];
    bin.fraction_good += good[i];
    result.accuracy += (scores[i] >= 0.5) == good[i];
    result.brier += (scores[i] - good[i]) * (scores[i] - good[i]);
  }
  const double n = std::max(1.0, double(scores.size()));
  for (ReliabilityBin& bin : result.bins) {
    if (bin.count == 0) continue;
    bin.mean_score /= double(bin.count);
    bin.fraction_good /= double(bin.count);
    result.ece += double(bin.count) / n * std::abs(bin.mean_score - bin.fraction_good);
  }
  result.accuracy /= n;
  result.brier /= n;
  return result;
}

}  // namespace echodiff
