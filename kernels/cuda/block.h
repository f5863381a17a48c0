// What kernels share: one thread per element, sums over a warp and a block, float and bfloat16 storage. Included by
// device.h.
#pragma once

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

constexpr int64_t kBlockThreads = 256;
constexpr unsigned kWholeWarp = 0xffffffffu;

inline dim3 blocks_for(int64_t n, int64_t per_block = kBlockThreads) {
  return dim3(unsigned((n + per_block - 1) / per_block));
}

// kernel(n, arguments...) on at least n threads in one row; nothing for n = 0.
template <class Kernel, class... Arguments>
void launch_elements(Kernel kernel, int64_t n, Stream stream, Arguments... arguments) {
  if (n > 0) launch(kernel, {blocks_for(n), dim3(unsigned(kBlockThreads)), 0, stream}, n, arguments...);
}

__device__ __forceinline__ int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const Bfloat16* p) { return __bfloat162float(*p); }
__device__ __forceinline__ double load(const double* p) { return *p; }
__device__ __forceinline__ void store(float* p, float v) { *p = v; }
__device__ __forceinline__ void store(Bfloat16* p, float v) { *p = __float2bfloat16_rn(v); }
__device__ __forceinline__ void store(double* p, double v) { *p = v; }

// Every lane gets the result; the order of additions is the same in each run.
template <class V> __device__ __forceinline__ V warp_sum(V v) {
  for (int distance = 16; distance > 0; distance /= 2) v += __shfl_xor_sync(kWholeWarp, v, distance);
  return v;
}
__device__ __forceinline__ float warp_max(float v) {
  for (int distance = 16; distance > 0; distance /= 2) v = fmaxf(v, __shfl_xor_sync(kWholeWarp, v, distance));
  return v;
}

template <class V> struct BlockSumScratch { V of_warp[32]; };

// Every thread gets the sum over the block, whose threads are one row of whole warps.
template <class V> __device__ __forceinline__ V block_sum(V v) {
  BlockSumScratch<V>& scratch = block_shared<BlockSumScratch<V>>();
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  v = warp_sum(v);
  __syncthreads();  // what an earlier call left has been read
  if (lane == 0) scratch.of_warp[warp] = v;
  __syncthreads();
  v = lane < warps ? scratch.of_warp[lane] : V(0);
  return warp_sum(v);
}

// sigmoid(x) without overflow and without losing digits near 0.
__device__ __forceinline__ float sigmoid(float x) {
  const float e = expf(-fabsf(x));
  return (x >= 0 ? 1.0f : e) / (1 + e);
}

}  // namespace echodiff::cuda
