#include "quality/statistics/averages.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/error.h"

namespace echodiff {

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

}  // namespace echodiff
