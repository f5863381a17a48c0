// Grey values put into bins, as texture matrices count them.
#pragma once

#include <cstdint>
#include <vector>

namespace echodiff {

struct GreyLevels {
  int64_t height = 0, width = 0;
  int64_t count = 0;           // the highest level
  std::vector<int64_t> level;  // (height, width): 1 and more inside the region, 0 outside

  int64_t at(int64_t y, int64_t x) const {
    return y < 0 || x < 0 || y >= height || x >= width ? 0 : level[size_t(y * width + x)];
  }
};

// Bins of a fixed width (IBSI's FBS; pyradiomics' binWidth): level 1 begins at the greatest multiple of `bin_width`
// that is no more than the smallest value inside. values, inside: (height, width).
GreyLevels grey_levels(const std::vector<double>& values, const std::vector<bool>& inside, int64_t height,
                       int64_t width, double bin_width);

// The four directions in which texture matrices go, (dy, dx).
struct Direction {
  int64_t dy, dx;
};
inline constexpr Direction kDirections[] = {{0, 1}, {1, 0}, {1, 1}, {1, -1}};

}  // namespace echodiff
