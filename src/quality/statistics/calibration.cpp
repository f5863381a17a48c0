#include "quality/statistics/calibration.h"

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

double logit_of(double score) {
  const double s = std::clamp(score, 1e-6, 1 - 1e-6);
  return std::log(s / (1 - s));
}

double Platt::probability(double logit) const { return 1 / (1 + std::exp(-(slope * logit + offset))); }

namespace {

// From `platt` on; the slope stays where it is not free.
Platt newton(const std::vector<double>& logits, const std::vector<double>& targets, double pull, Platt platt,
             bool slope_is_free) {
  double largest = 0;  // logit
  for (const double logit : logits) largest = std::max(largest, std::abs(logit));
  for (int64_t round = 0; round < 200; ++round) {
    double ds = pull * (platt.slope - 1), d0 = pull * platt.offset;  // gradient
    double hss = pull + 1e-9, hs0 = 0, h00 = pull + 1e-9;            // Hessian
    for (size_t i = 0; i < logits.size(); ++i) {
      const double p = platt.probability(logits[i]), difference = p - targets[i], weight = p * (1 - p);
      ds += difference * logits[i];
      d0 += difference;
      hss += weight * logits[i] * logits[i];
      hs0 += weight * logits[i];
      h00 += weight;
    }
    if (!slope_is_free) ds = hs0 = 0;
    const double determinant = hss * h00 - hs0 * hs0;
    double slope_step = (h00 * ds - hs0 * d0) / determinant, offset_step = (hss * d0 - hs0 * ds) / determinant;
    const double change = std::abs(slope_step) * largest + std::abs(offset_step);  // of a probability's logit
    if (change > 2) slope_step *= 2 / change, offset_step *= 2 / change;
    platt.slope -= slope_step;
    platt.offset -= offset_step;
    if (change < 1e-12) break;
  }
  return platt;
}

}  // namespace

Platt fit_logistic(const std::vector<double>& logits, const std::vector<double>& targets, double pull) {
  check(logits.size() == targets.size(), "fit_logistic: ", logits.size(), " logits for ", targets.size(), " targets");
  return newton(logits, targets, pull, {}, true);
}

Platt fit_platt(const std::vector<double>& logits, const std::vector<bool>& good) {
  check(logits.size() == good.size(), "fit_platt: ", logits.size(), " logits for ", good.size(), " labels");
  if (logits.empty()) return {};
  const double n_good = double(std::count(good.begin(), good.end(), true)), n_poor = double(good.size()) - n_good;
  std::vector<double> targets;
  for (const bool one : good) targets.push_back(one ? (n_good + 1) / (n_good + 2) : 1 / (n_poor + 2));
  const Platt free = fit_logistic(logits, targets, 0);
  return free.slope >= 0 ? free : newton(logits, targets, 0, {0, 0}, false);
}

}  // namespace echodiff
