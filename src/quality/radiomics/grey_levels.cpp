#include "quality/radiomics/grey_levels.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/error.h"

namespace echodiff {

GreyLevels grey_levels(const std::vector<double>& values, const std::vector<bool>& inside, int64_t height,
                       int64_t width, double bin_width) {
  check(int64_t(values.size()) == height * width && values.size() == inside.size(), "grey_levels: ", values.size(),
        " values and ", inside.size(), " pixels of a region for ", width, "x", height);
  check(bin_width > 0, "grey_levels: the bin width is ", bin_width, ", expected more than 0");
  GreyLevels levels{height, width, 0, std::vector<int64_t>(values.size())};
  double least = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < values.size(); ++i)
    if (inside[i]) least = std::min(least, values[i]);
  const double first = std::floor(least / bin_width) * bin_width;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!inside[i]) continue;
    levels.level[i] = 1 + int64_t(std::floor((values[i] - first) / bin_width));
    levels.count = std::max(levels.count, levels.level[i]);
  }
  return levels;
}

}  // namespace echodiff
