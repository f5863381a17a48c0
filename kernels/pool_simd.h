#pragma once

#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

void max_of_pixels(int64_t count, int64_t n, const float* const* pixels, const int64_t* positions, float* y,
                   int64_t* index) {
  for (int64_t c = 0; c < n; c += kLanes) {
    const int64_t lanes = n - c < kLanes ? n - c : kLanes;
    const auto at = [=](int64_t i) { return lanes == kLanes ? load(pixels[i] + c) : load_part(pixels[i] + c, lanes); };
    Vec best = at(0);
    IntVec which{};
    for (int64_t i = 1; i < count; ++i) {
      const Vec v = at(i);
      const IntVec better = (v > best) | (v != v);
      best = select(better, v, best);
      which = better ? which - which + int32_t(i) : which;
    }
    store_part(y + c, best, lanes);
    if (index != nullptr)
      for (int64_t lane = 0; lane < lanes; ++lane) index[c + lane] = positions[which[lane]];
  }
}

}  // namespace echodiff::simd::ECHODIFF_ISA
