// The channels of a network's levels, before a network of them is made.
#pragma once

#include <cstdint>
#include <vector>

namespace echodiff {

// At most 16 levels of dim x multiplier channels, each from 1 to 65536. Throws Error(kUsage).
void check_widths(int64_t dim, const std::vector<int64_t>& mults);

}  // namespace echodiff
