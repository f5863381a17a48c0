// Radiomic features by name, and the arithmetic that their families share.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace echodiff {

using Features = std::vector<std::pair<std::string, double>>;

// Each feature's mean over the directions that have any pair or run; NaN, by the names of `like`, where none has.
Features mean_of_directions(const std::vector<Features>& directions, const Features& like);

// One term of -sum p log2 p; pyradiomics adds the least step of 1 within the logarithm.
inline double entropy_term(double share, double within) {
  return -share * std::log2(within + std::numeric_limits<double>::epsilon());
}
inline double entropy_term(double share) { return entropy_term(share, share); }

}  // namespace echodiff
