// Order statistics.
#pragma once

#include <vector>

namespace echodiff {

// Linear interpolation between order statistics, as numpy.quantile. `values` isn't empty.
double quantile_of(std::vector<double> values, double quantile);

}  // namespace echodiff
