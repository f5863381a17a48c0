// Normalisation and SiLU in one pass over rows of channels.
#pragma once

#include "kernels/rows_simd.h"
#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

void column_silu(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* y) {
  for (int64_t i = 0; i < rows; ++i, x += n, y += n)
    for_vectors(n, [=](auto load, auto store) { store(y, silu(load(scale) * load(x) + load(offset))); });
}

void column_silu_backward(int64_t rows, int64_t n, const float* x, const float* dy, const float* scale,
                          const float* offset, const float* mean, float* dz, float* sum_dz, float* sum_dz_x) {
  for (int64_t i = 0; i < rows; ++i, x += n, dy += n, dz += n)
    for_vectors(n, [=](auto load, auto store) {
      const Vec v = load(x), d = load(dy) * silu_slope(load(scale) * v + load(offset));
      store(dz, d);
      store(sum_dz, load(sum_dz) + d);
      store(sum_dz_x, load(sum_dz_x) + d * (v - load(mean)));
    });
}

float rms_silu(int64_t n, const float* x, const float* scale, const float* offset, float* y) {
  const float norm = __builtin_sqrtf(dot(n, x, x)), u = 1 / (norm > 1e-12f ? norm : 1e-12f);
  for_vectors(n, [=](auto load, auto store) { store(y, silu(u * load(x) * load(scale) + load(offset))); });
  return u;
}

void rms_silu_backward(int64_t n, const float* x, const float* dy, const float* scale, const float* offset, float u,
                       float* dx, float* sum_dz, float* sum_dz_x) {
  Vec products{};
  for_vectors(n, [&](auto load, auto store) {
    const Vec a = load(scale), v = u * load(x), d = load(dy) * silu_slope(v * a + load(offset));
    store(sum_dz, load(sum_dz) + d);
    store(sum_dz_x, load(sum_dz_x) + d * v);
    products += d * a * v;
    store(dx, d);
  });
  const float along = u >= 1e12f ? 0.0f : -horizontal_sum(products) * u * u;  // under the floor the norm is a constant
  for_vectors(n, [=](auto load, auto store) { store(dx, u * load(dx) * load(scale) + along * load(x)); });
}

}  // namespace echodiff::simd::ECHODIFF_ISA
