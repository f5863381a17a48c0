// What a U-Net's encoder leaves for its decoder.
#pragma once

#include "kernels/memory_pool.h"
#include "tensor/ops.h"

namespace echodiff {

using Skips = PoolVector<Tensor>;  // newest last

// Takes the newest skip off and puts its channels behind those of x; neither is kept.
inline void join(Tensor& x, Skips& skips) {
  x = concat({x, skips.back()}, 1);
  skips.pop_back();
}

}  // namespace echodiff
