// The one header that a kernel file includes for CUDA. nvcc sees CUDA; another compiler sees the host harness
// (tests/cuda/host), which runs the same source on the CPU, one fiber per CUDA thread.
//
// Rules that keep both possible: shared memory only through block_shared and dynamic_shared, launches only through
// launch, no inline PTX, and kernels take pointers and geometry structs. Kernels have external linkage, so that the
// harness can name those that ran.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/stream.h"

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/cuda/check.h"

namespace echodiff::cuda {

// One S of the block; calls with the same S share it.
template <class S> __device__ __forceinline__ S& block_shared() {
  __shared__ S shared;
  return shared;
}

// The launch's shared_bytes.
template <class T> __device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

struct LaunchShape {
  dim3 grid, block;
  size_t shared_bytes = 0;
  Stream stream = nullptr;
};

// Throws where CUDA refuses the launch; a fault inside the kernel shows at the next synchronisation.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Arguments&&... arguments) {
  if (shape.shared_bytes > 48 * 1024)
    check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shape.shared_bytes)));
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = shape.stream;
  check_cuda(cudaLaunchKernelEx(&config, kernel, Parameters(std::forward<Arguments>(arguments))...));
}

}  // namespace echodiff::cuda
#else
#include "cuda/host/host_cuda.h"
#endif

#include "kernels/cuda/block.h"
