// How much work one piece of a parallel loop holds. Depends on the problem alone, never on the threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace echodiff {

constexpr int64_t kElementGrain = 16384;  // elements: some microseconds, well above what handing out a piece costs

// Rows of `width` elements that make up one piece.
inline int64_t row_grain(int64_t width) { return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, width)); }

}  // namespace echodiff
