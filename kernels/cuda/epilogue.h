// What may follow a norm in the same pass over memory: y = silu?(v (1 + scale) + shift). For sampling: backward needs
// the value in between, so training runs the parts one by one.
#pragma once

#include "kernels/cuda/stream.h"

namespace echodiff::cuda {

template <class T>
struct NormEpilogue {
  const T* scale_shift = nullptr;  // (N, 2C) = scale | shift, or null
  bool silu = false;
};

}  // namespace echodiff::cuda
