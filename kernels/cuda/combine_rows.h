// Rows of threads that share columns: what each found for its column, joined.
#pragma once

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

// Every thread gets its column's v of all rows; combine(a, b) joins two. Needs blockDim.x * blockDim.y floats of
// dynamic shared memory, and a power of two of rows.
template <class Combine> __device__ float combine_rows(float v, const Combine& combine) {
  float* shared = dynamic_shared<float>();  // (blockDim.y, blockDim.x)
  const unsigned at = threadIdx.y * blockDim.x + threadIdx.x;
  __syncthreads();  // what an earlier call left has been read
  shared[at] = v;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) shared[at] = combine(shared[at], shared[at + half * blockDim.x]);
  }
  __syncthreads();
  return shared[threadIdx.x];
}

struct Larger {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct Plus {
  __device__ float operator()(float a, float b) const { return a + b; }
};

}  // namespace echodiff::cuda
