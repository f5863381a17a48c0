// The CUDA names that kernels use, on the host (block.h does the work). Types and bfloat16 conversions are the
// toolkit's own, so rounding is NVIDIA's. A name that is missing here is one that no kernel uses yet.
#pragma once

#include <cuda_bf16.h>
#include <driver_types.h>
#include <vector_functions.h>

#include <cmath>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "cuda/host/block.h"

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __forceinline__
#define __global__
#define __device__
#define __host__
#define __shared__ static_assert(false, "use block_shared<T>() or dynamic_shared<T>()");
#define __forceinline__ inline

#define threadIdx hostcuda::thread_index
#define blockIdx hostcuda::block_index
#define blockDim hostcuda::block_size
#define gridDim hostcuda::grid_size

// Defaults are evaluated where the kernel calls, so reports name the kernel's line.
#define HOSTCUDA_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(HOSTCUDA_HERE) { hostcuda::barrier(0, file, line); }
inline int __syncthreads_or(int predicate, HOSTCUDA_HERE) { return hostcuda::barrier(predicate, file, line) > 0; }
inline void __syncwarp(unsigned mask = ~0u, HOSTCUDA_HERE) {
  hostcuda::exchange(hostcuda::WarpOp::sync, mask, 0, int(threadIdx.x % 32), file, line);
}

template <class T> T __shfl_xor_sync(unsigned mask, T value, int distance, HOSTCUDA_HERE) {
  static_assert(sizeof(T) <= 8);
  const unsigned lane = (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32;
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = hostcuda::exchange(hostcuda::WarpOp::shuffle, mask, bits, int(lane) ^ distance, file, line);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }

namespace echodiff::cuda {

template <class S> S& block_shared() {
  static const char key = 0;
  return *static_cast<S*>(hostcuda::static_shared(&key, sizeof(S)));
}
template <class T> T* dynamic_shared() { return static_cast<T*>(hostcuda::dynamic_shared_bytes()); }

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

template <class T> void add_pointer(const void** pointers, int& count, const T& parameter) {
  if constexpr (std::is_pointer_v<T>) pointers[count++] = parameter;
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  const std::tuple<Parameters...> bound(std::forward<Arguments>(arguments)...);
  const auto grid = [kernel, shape, bound] {
    hostcuda::run_grid(reinterpret_cast<const void*>(kernel), shape.grid, shape.block, shape.shared_bytes,
                       [&] { std::apply(kernel, bound); });
  };
  const hostcuda::LaunchHooks& hooks = hostcuda::launch_hooks;
  if (!hooks.before) return grid();
  const void* pointers[sizeof...(Parameters) + 1];
  int count = 0;
  std::apply([&](const Parameters&... each) { (add_pointer(pointers, count, each), ...); }, bound);
  hooks.before(pointers, count, shape.stream);
  hooks.submit(shape.stream, grid);
}

}  // namespace echodiff::cuda
