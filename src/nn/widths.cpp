#include "nn/widths.h"

#include "kernels/error.h"

namespace echodiff {

void check_widths(int64_t dim, const std::vector<int64_t>& mults) {
  constexpr int64_t kMostChannels = 1 << 16;
  constexpr size_t kMostLevels = 16;
  check_input(!mults.empty() && mults.size() <= kMostLevels, Fault::kUsage,
              "mults: expected one multiplier for each of 1 to ", kMostLevels, " levels, got ", mults.size());
  check_input(dim > 0 && dim <= kMostChannels, Fault::kUsage, "dim: expected 1 to ", kMostChannels, " channels, got ",
              dim);
  for (const int64_t mult : mults)
    check_input(mult > 0 && mult <= kMostChannels / dim, Fault::kUsage, "mults: expected multipliers from 1 to ",
                kMostChannels / dim, " for a dim of ", dim, ", got ", mult);
}

}  // namespace echodiff
