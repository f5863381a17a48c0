// Exponential moving averages of parameters: average += share (now - average), share = 1 - decay.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/tensor_chunks.h"

namespace echodiff {

struct EmaTensor {
  const float* now;
  float* average;
  int64_t count;
};

namespace reference {
void ema_update(float share, const EmaTensor&, int64_t begin, int64_t end);  // elements [begin, end)
}  // namespace reference

namespace cpu {
void ema_update(float share, const EmaTensor&, int64_t begin, int64_t end);  // the same
}

namespace cuda {
// All tensors in one launch; tensors and chunks (tensor_chunks of the counts) are on the device.
void ema_update(float share, const EmaTensor* tensors, const TensorChunk* chunks, int64_t chunk_count, Stream);
}  // namespace cuda
}  // namespace echodiff
