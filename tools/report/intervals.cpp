#include "intervals.h"

#include <algorithm>
#include <cmath>

#include "kernels/philox.h"

namespace echodiff {
namespace {

constexpr int64_t kDraws = 1000;
constexpr uint64_t kBootstrapStream = 0x626f6f74;  // keeps these draws apart from others of the same seed

double ratio(const RatioTerm& sum) {
  if (sum.denominator == 0) return std::numeric_limits<double>::infinity();
  return sum.numerator / sum.denominator;
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
    for (const RatioTerm& term : stratum) {
      all.numerator += term.numerator;
      all.denominator += term.denominator;
    }
  }
  Estimate estimate;
  if (terms == 0) return estimate;
  estimate.value = ratio(all);
  Random random(uint64_t(terms), kBootstrapStream);
  std::vector<double> draws;
  for (int64_t draw = 0; draw < kDraws; ++draw) {
    RatioTerm sum;
    for (const std::vector<RatioTerm>& stratum : strata) {
      for (size_t i = 0; i < stratum.size(); ++i) {
        const RatioTerm& term = stratum[size_t(random.below(int64_t(stratum.size())))];
        sum.numerator += term.numerator;
        sum.denominator += term.denominator;
      }
    }
    draws.push_back(ratio(sum));
  }
  std::sort(draws.begin(), draws.end());
  estimate.low = draws[size_t(0.025 * kDraws)];
  estimate.high = draws[size_t(0.975 * kDraws)];
  return estimate;
}

}  // namespace echodiff
