// Means and order statistics. None of them takes an empty list.
#pragma once

#include <vector>

#include "quality/statistics/intervals.h"

namespace echodiff {

// A number and its standard error; as an Estimate, value +- 1.96 errors.
struct Measure {
  double value = 0, error = 0;
  operator Estimate() const;
};

// Mean and its standard error, of numbers that are independent.
Measure mean_of(const std::vector<double>& values);

// Linear interpolation between order statistics, as numpy.quantile; infinity is a number.
double quantile_of(std::vector<double> values, double quantile);
double median_of(std::vector<double> values);

}  // namespace echodiff
