#include "kernels/simd_tables.h"

namespace echodiff::simd::ECHODIFF_ISA {
namespace {

inline Vec silu(Vec x) { return x / (1.0f + exp(-x)); }

// d silu = s (1 + x (1 - s)) with s = sigmoid(x); for large |x| the product x (1 - s) must not meet infinity.
inline Vec silu_slope(Vec x) {
  const Vec s = 1.0f / (1.0f + exp(-x));
  const Vec slope = s * (1.0f + x * (1.0f - s));
  return select(x < broadcast(-100.0f), Vec{}, slope);
}

}  // namespace

void silu_forward(int64_t n, const float* x, float* y) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, silu(load(x + i)));
  store_part(y + i, silu(load_part(x + i, n - i)), n - i);
}

void silu_backward(int64_t n, const float* x, const float* dy, float* dx) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(dx + i, load(dy + i) * silu_slope(load(x + i)));
  store_part(dx + i, load_part(dy + i, n - i) * silu_slope(load_part(x + i, n - i)), n - i);
}

}  // namespace echodiff::simd::ECHODIFF_ISA
