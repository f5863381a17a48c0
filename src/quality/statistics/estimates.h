// Means, quantiles and 95 % intervals: of a share by Wilson's score, of a ratio and the like by the bootstrap.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <vector>

namespace echodiff {

constexpr double kNotGiven = std::numeric_limits<double>::quiet_NaN();

// A number and its 95 % interval; NaN where it isn't known.
struct Estimate {
  double value = kNotGiven, low = kNotGiven, high = kNotGiven;
};

// A number and its standard error; as an Estimate, value +- 1.96 errors.
struct Measure {
  double value = 0, error = 0;
  operator Estimate() const;
};
// Of numbers that are independent; the list isn't empty, here and below.
Measure mean_of(const std::vector<double>& values);

// Linear interpolation between order statistics, as numpy.quantile; infinity is a number.
double quantile_of(std::vector<double> values, double quantile);
double median_of(std::vector<double> values);

// Wilson's score interval for k of n; [0, 1] for n = 0.
struct Proportion {
  int64_t k = 0, n = 0;
  double fraction = kNotGiven, low = 0, high = 1;
};
Proportion wilson(int64_t k, int64_t n);

// A statistic's interval by the percentile bootstrap (Efron 1979): as many units are drawn with replacement, 2000
// times, those of each stratum (a seed) from that stratum. `statistic` is given the numbers of the units drawn; 0 is
// the first of the first stratum. Draws are a function of the strata's sizes alone: the same units have the same
// interval wherever it is computed. NaN is not defined: draws that give it are left out. No interval where they are
// more than half, nor where no stratum has two units. Infinity counts.
Estimate bootstrap(const std::vector<size_t>& strata,
                   const std::function<double(const std::vector<size_t>& drawn)>& statistic);

// One unit's share in a ratio of sums.
struct RatioTerm {
  double numerator = 0, denominator = 0;

  void operator+=(const RatioTerm& other) {
    numerator += other.numerator;
    denominator += other.denominator;
  }
};

// sum(numerator) / sum(denominator) of units by their keys, infinite with nothing below the line. The upper end is
// infinite where more than 2.5 % of the draws have nothing there. NaN for no units.
Estimate ratio_of_sums(const std::vector<std::map<int64_t, RatioTerm>>& strata);

// One unit's (a mask's) share in two ratios of sums that are compared.
struct PairedTerm {
  RatioTerm one, other;
};
// The ratio of the two ratios; not defined for a draw where neither has anything below the line. Nothing for fewer than
// two units.
Estimate ratio_of_ratios(const std::vector<PairedTerm>& units);

}  // namespace echodiff
