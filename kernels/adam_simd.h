#pragma once

#include "kernels/adam.h"
#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

bool adam_update(const AdamCoefficients& by, const AdamTensor& tensor, int64_t begin, int64_t end) {
  const AdamCoefficients c = by;  // local: nothing written below can change them, so the loops vectorise
  const float* __restrict g = tensor.gradient;
  float* __restrict theta = tensor.theta;
  float* __restrict m = tensor.exp_avg;
  float* __restrict v = tensor.exp_avg_sq;
  float* __restrict most = tensor.max_exp_avg_sq;
  int broken = 0;
  const auto update = [&](int64_t k, float spread, float decayed) {
    theta[k] = decayed - c.step_size * (m[k] / (__builtin_sqrtf(spread) / c.root2 + c.eps));
    broken |= !(__builtin_fabsf(theta[k]) <= __FLT_MAX__);
  };
  for (int64_t k = begin; k < end; ++k) {
    const float decayed = theta[k] * c.kept, slope = g[k] + c.l2 * decayed;
    m[k] += c.share1 * (slope - m[k]);
    v[k] = v[k] * c.beta2 + c.share2 * slope * slope;
    if (most == nullptr) update(k, v[k], decayed);
  }
  for (int64_t k = begin; most != nullptr && k < end; ++k) {
    most[k] = most[k] < v[k] ? v[k] : most[k];
    update(k, most[k], theta[k] * c.kept);
  }
  return broken == 0;
}

}  // namespace echodiff::simd::ECHODIFF_ISA
