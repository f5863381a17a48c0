#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/rms_norm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

constexpr int64_t kChunk = 256;  // pixels

void rms_norm_forward(int64_t pixels, int64_t C, const float* x, const float* gain, float* y, float* inverse_norm) {
  const SimdKernels& simd = simd_kernels();
  const float root = std::sqrt(float(C));
  parallel_ranges(pixels, kChunk, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      inverse_norm[p] = 1 / std::max(std::sqrt(simd.dot(C, x + p * C, x + p * C)), 1e-12f);
      simd.scaled_product(C, x + p * C, gain, inverse_norm[p] * root, y + p * C);
    }
  });
}

void rms_norm_backward(int64_t pixels, int64_t C, const float* x, const float* gain, const float* inverse_norm, const float* dy,
                       float* dx, float* dgain) {
  const SimdKernels& simd = simd_kernels();
  const float root = std::sqrt(float(C));
  const int64_t chunks = (pixels + kChunk - 1) / kChunk;
  float* partial = scratch(Slot::sums, chunks * C);
  std::fill_n(partial, chunks * C, 0.0f);
  parallel_for(chunks, [&](int64_t chunk) {
    float* weighted = scratch(Slot::rows, C);  // dy gain
    for (int64_t p = chunk * kChunk; p < std::min(pixels, (chunk + 1) * kChunk); ++p) {
      const float u = inverse_norm[p];
      simd.scaled_product(C, dy + p * C, gain, 1.0f, weighted);
      const float product = simd.dot(C, weighted, x + p * C) * u;  // one u early: u^3 alone may overflow
      const float along = u >= 1e12f ? 0.0f : -product * u * u * root;
      simd.rms_pixel_backward(C, x + p * C, dy + p * C, gain, u * root, along, u * root, dx + p * C, partial + chunk * C);
    }
  });
  for (int64_t c = 0; c < C; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += double(partial[chunk * C + c]);
    dgain[c] = float(sum);
  }
}

}  // namespace echodiff::cpu
