// What a U-Net's encoder leaves for its decoder.
#pragma once

#include <utility>

#include "kernels/memory_pool.h"
#include "tensor/ops.h"

namespace echodiff {

using Skips = PoolVector<Tensor>;  // newest last

// The newest skip, off the stack.
inline Tensor taken(Skips& skips) {
  Tensor skip = std::move(skips.back());
  skips.pop_back();
  return skip;
}
// The skip's channels behind those of x; neither is kept.
inline Tensor joined(Tensor x, Tensor skip) { return concat({std::move(x), std::move(skip)}, 1); }

}  // namespace echodiff
