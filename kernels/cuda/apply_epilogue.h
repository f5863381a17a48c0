// NormEpilogue on the device: the value of channel c of sample n.
#pragma once

#include "kernels/cuda/device.h"
#include "kernels/cuda/epilogue.h"

namespace echodiff::cuda {

template <class T>
__device__ __forceinline__ float apply(const NormEpilogue<T>& epilogue, int64_t n, int64_t c, int64_t C, float v) {
  if (epilogue.scale_shift) {
    const T* scale = epilogue.scale_shift + n * 2 * C + c;
    v = v * (1 + load(scale)) + load(scale + C);
  }
  return epilogue.silu ? v * sigmoid(v) : v;
}

}  // namespace echodiff::cuda
