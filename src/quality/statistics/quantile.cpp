#include "quality/statistics/quantile.h"

#include <algorithm>

#include "kernels/error.h"

namespace echodiff {

double quantile_of(std::vector<double> values, double quantile) {
  check(!values.empty(), "quantile_of: no values");
  std::sort(values.begin(), values.end());
  const double position = quantile * double(values.size() - 1);
  const size_t below = size_t(position);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - double(below)) * (values[above] - values[below]);
}

}  // namespace echodiff
