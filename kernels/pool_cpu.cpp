#include "kernels/pool.h"

#include <algorithm>
#include <limits>

#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

void max_pool2d_forward(MaxPoolGeometry geo, const float* x, float* y, int64_t* index) {
  parallel_for(geo.N * geo.P, [&](int64_t row) {
    thread_local PoolVector<const float*> pixels;
    thread_local PoolVector<int64_t> positions;
    const int64_t n = row / geo.P, top = row % geo.P * geo.stride - geo.padding;
    for (int64_t q = 0; q < geo.Q; ++q) {
      pixels.clear();
      positions.clear();
      for (int64_t r = 0; r < geo.kernel; ++r) {
        const int64_t h = top + r * geo.dilation;
        for (int64_t s = 0; s < geo.kernel && h >= 0 && h < geo.H; ++s) {
          const int64_t w = q * geo.stride - geo.padding + s * geo.dilation;
          if (w < 0 || w >= geo.W) continue;
          pixels.push_back(x + ((n * geo.H + h) * geo.W + w) * geo.C);
          positions.push_back(h * geo.W + w);
        }
      }
      const int64_t at = (row * geo.Q + q) * geo.C;
      if (pixels.empty()) {
        std::fill_n(y + at, geo.C, -std::numeric_limits<float>::infinity());
        if (index != nullptr) std::fill_n(index + at, geo.C, int64_t{-1});
        continue;
      }
      simd_kernels().max_of_pixels(int64_t(pixels.size()), geo.C, pixels.data(), positions.data(), y + at,
                                   index != nullptr ? index + at : nullptr);
    }
  });
}

}  // namespace echodiff::cpu
