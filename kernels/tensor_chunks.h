// Many tensors as one list of equal pieces, so that one launch updates them all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/memory_pool.h"

namespace echodiff {

constexpr int64_t kTensorChunk = 2048;  // elements

struct TensorChunk {
  int64_t tensor, begin;  // elements [begin, begin + kTensorChunk) of that tensor, as far as it goes
};

inline PoolVector<TensorChunk> tensor_chunks(const PoolVector<int64_t>& counts) {
  PoolVector<TensorChunk> chunks;
  for (std::size_t t = 0; t < counts.size(); ++t)
    for (int64_t begin = 0; begin < counts[t]; begin += kTensorChunk) chunks.push_back({int64_t(t), begin});
  return chunks;
}

}  // namespace echodiff
