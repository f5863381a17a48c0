// 95 % intervals: of a share by Wilson's score, of a ratio of sums by the bootstrap.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace echodiff {

constexpr double kNotGiven = std::numeric_limits<double>::quiet_NaN();

// Wilson's score interval for k of n at 95 % (two-sided); [0, 1] for n = 0.
struct Proportion {
  int64_t k = 0, n = 0;
  double fraction = kNotGiven, low = 0, high = 1;
};
Proportion wilson(int64_t k, int64_t n);

// A number and its 95 % interval; NaN where it isn't known.
struct Estimate {
  double value = kNotGiven, low = kNotGiven, high = kNotGiven;
};

// One trajectory's share in a ratio of sums.
struct RatioTerm {
  double numerator = 0, denominator = 0;
};

// sum(numerator) / sum(denominator), its interval by the percentile bootstrap: the terms of each stratum (a seed) are
// drawn anew with replacement, 1000 times. Draws are a function of the terms' number alone. The upper end is infinite
// where more than 2.5 % of the draws have nothing below the line.
Estimate ratio_of_sums(const std::vector<std::vector<RatioTerm>>& strata);

// One unit's (a mask's) share in two ratios of sums that are compared.
struct PairedTerm {
  RatioTerm one, other;
};
// The ratio of the two ratios, its interval by 4000 draws of whole units, but for those where neither has anything
// below the line. Nothing for fewer than two units.
Estimate ratio_of_ratios(const std::vector<PairedTerm>& units);

}  // namespace echodiff
