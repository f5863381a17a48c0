#include "quality/statistics/estimates.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {
namespace {

constexpr double kNormal95 = 1.959963984540054;  // two-sided
constexpr size_t kDraws = 2000;
constexpr uint64_t kBootstrapStream = 0x626f6f74;  // keeps these draws apart from others of the same seed

double ratio(const RatioTerm& sum) {
  if (sum.denominator == 0) return std::numeric_limits<double>::infinity();
  return sum.numerator / sum.denominator;
}

}  // namespace

Measure::operator Estimate() const { return {value, value - kNormal95 * error, value + kNormal95 * error}; }

Measure mean_of(const std::vector<double>& values) {
  check(!values.empty(), "mean_of: no numbers");
  const double n = double(values.size());
  double mean = 0, squares = 0;
  for (double value : values) mean += value / n;
  for (double value : values) squares += (value - mean) * (value - mean);
  return {mean, n > 1 ? std::sqrt(squares / (n - 1) / n) : 0};
}

double quantile_of(std::vector<double> values, double quantile) {
  check(!values.empty(), "quantile_of: no values");
  std::sort(values.begin(), values.end());
  const double position = quantile * double(values.size() - 1);
  const size_t below = size_t(position);
  const double share = position - double(below), low = values[below];
  const double high = values[std::min(below + 1, values.size() - 1)];
  return share == 0 || low == high ? low : low + share * (high - low);
}

double median_of(std::vector<double> values) { return quantile_of(std::move(values), 0.5); }

Proportion wilson(int64_t k, int64_t n) {
  Proportion result{k, n};
  if (n == 0) return result;
  constexpr double z = kNormal95, z2 = z * z;
  const double size = double(n), p = double(k) / size;
  const double centre = (p + z2 / (2 * size)) / (1 + z2 / size);
  const double reach = z / (1 + z2 / size) * std::sqrt(p * (1 - p) / size + z2 / (4 * size * size));
  result.fraction = p;
  result.low = k == 0 ? 0 : std::max(0.0, centre - reach);
  result.high = k == n ? 1 : std::min(1.0, centre + reach);
  return result;
}

Estimate bootstrap(const std::vector<size_t>& strata,
                   const std::function<double(const std::vector<size_t>& drawn)>& statistic) {
  std::vector<size_t> drawn(std::accumulate(strata.begin(), strata.end(), size_t{0}));
  Estimate estimate;
  if (drawn.empty()) return estimate;
  std::iota(drawn.begin(), drawn.end(), size_t{0});
  estimate.value = statistic(drawn);
  if (std::isnan(estimate.value) || *std::max_element(strata.begin(), strata.end()) < 2) return estimate;
  Random random(drawn.size(), kBootstrapStream);
  std::vector<double> values;
  for (size_t draw = 0; draw < kDraws; ++draw) {
    size_t first = 0;
    for (const size_t size : strata) {
      for (size_t i = first; i < first + size; ++i) drawn[i] = first + size_t(random.below(int64_t(size)));
      first += size;
    }
    if (const double value = statistic(drawn); !std::isnan(value)) values.push_back(value);
  }
  if (2 * values.size() < kDraws) return estimate;
  estimate.low = quantile_of(values, 0.025);
  estimate.high = quantile_of(values, 0.975);
  return estimate;
}

Estimate ratio_of_sums(const std::vector<std::map<int64_t, RatioTerm>>& strata) {
  std::vector<size_t> sizes;
  std::vector<RatioTerm> units;
  for (const std::map<int64_t, RatioTerm>& stratum : strata) {
    sizes.push_back(stratum.size());
    for (const auto& [key, term] : stratum) units.push_back(term);
  }
  return bootstrap(sizes, [&](const std::vector<size_t>& drawn) {
    RatioTerm sum;
    for (const size_t i : drawn) sum += units[i];
    return ratio(sum);
  });
}

Estimate ratio_of_ratios(const std::vector<PairedTerm>& units) {
  if (units.size() < 2) return {};
  return bootstrap({units.size()}, [&](const std::vector<size_t>& drawn) {
    PairedTerm sum;
    for (const size_t i : drawn) {
      sum.one += units[i].one;
      sum.other += units[i].other;
    }
    return ratio(sum.one) / ratio(sum.other);
  });
}

}  // namespace echodiff
