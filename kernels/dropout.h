// Dropout, Srivastava et al. 2014. Whether element i survives is a function of (seed, stream, i) alone, so backward
// draws the same mask again instead of keeping it.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct DropoutGeometry {
  int64_t count;
  double p;  // probability to be zeroed
  uint64_t seed, stream;
};

namespace reference {

// y = x / (1 - p) where element i (in memory order) survives, else 0. The same call maps dy to dx.
template <class T> void dropout(DropoutGeometry geo, const T* x, T* y);

}  // namespace reference

namespace cuda {
template <class T> void dropout(DropoutGeometry geo, const T* x, T* y, Stream);
}  // namespace cuda
}  // namespace echodiff
