// Where both attentions put the gradients of keys and values: a batch's own tokens have their place, the memory that
// all of a batch share is summed over the batch, in order, from one part per batch.
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/device.h"

namespace echodiff::cuda {

inline int64_t memory_parts_size(const AttentionGeometry& geo) { return geo.B * 2 * geo.M * geo.width(); }

// Channel c of the gradient of key (part 0) or value (part 1) number j. memory_parts (B, 2, M, heads*d)
template <class T>
__device__ void store_key_gradient(const AttentionGeometry& geo, const AttentionGradients<T>& out, float* memory_parts,
                                   int part, int64_t b, int64_t h, int64_t j, int64_t c, float value) {
  if (j < geo.M)
    memory_parts[((b * 2 + part) * geo.M + j) * geo.width() + h * geo.d + c] = value;
  else
    store((part == 0 ? out.dk : out.dv) + (b * geo.Lk + j - geo.M) * geo.kv_stride + h * geo.d + c, value);
}

template <class T> __global__ void memory_gradient_kernel(int64_t n, int64_t B, const float* memory_parts, T* dmemory) {
  const int64_t i = thread_index();
  if (i >= n) return;
  float sum = 0;
  for (int64_t b = 0; b < B; ++b) sum += memory_parts[b * n + i];
  store(dmemory + i, sum);
}

template <class T>
void sum_memory_gradient(const AttentionGeometry& geo, const float* memory_parts, T* dmemory, Stream stream) {
  launch_elements(memory_gradient_kernel<T>, 2 * geo.M * geo.width(), stream, geo.B, memory_parts, dmemory);
}

}  // namespace echodiff::cuda
