// From one floating-point type to another, n elements. (The CPU's conversions are in Tensor::to.)
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff::cuda {

// y = x, rounded to nearest even
void cast(int64_t n, const float* x, Bfloat16* y, Stream);
void cast(int64_t n, const Bfloat16* x, float* y, Stream);

}  // namespace echodiff::cuda
