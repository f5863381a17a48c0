// The change of resolution inside a residual block, the same in guided-diffusion and diffusers.
#pragma once

#include "tensor/ops.h"

namespace echodiff {

enum class Resample { none, up, down };  // nearest x2, 2x2 average

inline Tensor resampled(const Tensor& x, Resample resample) {
  switch (resample) {
    case Resample::up: return upsample_nearest2(x);
    case Resample::down: return avg_pool2d(x, {.kernel = 2, .stride = 2});
    case Resample::none: break;
  }
  return x;
}

}  // namespace echodiff
