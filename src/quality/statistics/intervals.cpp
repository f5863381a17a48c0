#include "quality/statistics/intervals.h"

#include <algorithm>
#include <cmath>

#include "kernels/philox.h"

namespace echodiff {
namespace {

constexpr int64_t kDraws = 1000;
constexpr uint64_t kBootstrapStream = 0x626f6f74;  // keeps these draws apart from others of the same seed

void operator+=(RatioTerm& sum, const RatioTerm& term) {
  sum.numerator += term.numerator;
  sum.denominator += term.denominator;
}

double ratio(const RatioTerm& sum) {
  if (sum.denominator == 0) return std::numeric_limits<double>::infinity();
  return sum.numerator / sum.denominator;
}

// The middle 95 % of the draws, which are sorted; none of them is NaN.
void set_ends(Estimate& estimate, std::vector<double>& draws) {
  std::sort(draws.begin(), draws.end());
  estimate.low = draws[size_t(0.025 * double(draws.size()))];
  estimate.high = draws[size_t(0.975 * double(draws.size()))];
}

}  // namespace

Proportion wilson(int64_t k, int64_t n) {
  Proportion result{k, n};
  if (n == 0) return result;
  constexpr double z = 1.959963984540054, z2 = z * z;
  const double size = double(n), p = double(k) / size;
  const double centre = (p + z2 / (2 * size)) / (1 + z2 / size);
  const double reach = z / (1 + z2 / size) * std::sqrt(p * (1 - p) / size + z2 / (4 * size * size));
  result.fraction = p;
  result.low = k == 0 ? 0 : std::max(0.0, centre - reach);
  result.high = k == n ? 1 : std::min(1.0, centre + reach);
  return result;
}

Estimate ratio_of_sums(const std::vector<std::vector<RatioTerm>>& strata) {
  RatioTerm all;
  int64_t terms = 0;
  for (const std::vector<RatioTerm>& stratum : strata) {
    terms += int64_t(stratum.size());
    for (const RatioTerm& term : stratum) all += term;
  }
  Estimate estimate;
  if (terms == 0) return estimate;
  estimate.value = ratio(all);
  Random random(uint64_t(terms), kBootstrapStream);
  std::vector<double> draws;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    RatioTerm sum;
    for (const std::vector<RatioTerm>& stratum : strata) {
      for (size_t i = 0; i < stratum.size(); ++i) sum += stratum[size_t(random.below(int64_t(stratum.size())))];
    }
    draws.push_back(ratio(sum));
  }
  set_ends(estimate, draws);
  return estimate;
}

Estimate ratio_of_ratios(const std::vector<PairedTerm>& units) {
  Estimate estimate;
  if (units.size() < 2) return estimate;
  PairedTerm all;
  const auto add = [](PairedTerm& sum, const PairedTerm& unit) {
    sum.one += unit.one;
    sum.other += unit.other;
  };
  for (const PairedTerm& unit : units) add(all, unit);
  estimate.value = ratio(all.one) / ratio(all.other);
  Random random(uint64_t(units.size()), kBootstrapStream);
  std::vector<double> draws;
  for (int64_t draw = 0; draw < 4 * kDraws; ++draw) {
    PairedTerm sum;
    for (size_t i = 0; i < units.size(); ++i) add(sum, units[size_t(random.below(int64_t(units.size())))]);
    const double drawn = ratio(sum.one) / ratio(sum.other);
    if (!std::isnan(drawn)) draws.push_back(drawn);
  }
  if (!draws.empty()) set_ends(estimate, draws);
  return estimate;
}

}  // namespace echodiff
