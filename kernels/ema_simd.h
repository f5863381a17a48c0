#pragma once

#include "kernels/ema.h"
#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

void ema_update(float share, const EmaTensor& tensor, int64_t begin, int64_t end) {
  const float* __restrict now = tensor.now;
  float* __restrict average = tensor.average;
  for (int64_t k = begin; k < end; ++k) average[k] += share * (now[k] - average[k]);
}

}  // namespace echodiff::simd::ECHODIFF_ISA
