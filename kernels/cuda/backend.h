// The device as the rest of the project sees it: includes nothing of CUDA, so a build without it reads the same header.
// There every function but kBuiltWithCuda is declared and not defined: call them behind `if constexpr
// (kBuiltWithCuda)`.
//
// A process computes on one device, on one stream, from one thread. Calls that take a Context or a Stream only enqueue
// work there, in order; copy_to_host and synchronize wait for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/cuda/caching_allocator.h"
#include "kernels/cuda/stream.h"

namespace echodiff::cuda {

#ifndef ECHODIFF_WITH_CUDA  // include this, or tensor/dispatch.h, in the .cpp itself, then run cmake again
#error "cmake/Folder.cmake has this source built as one that knows of no device"
#else
inline constexpr bool kBuiltWithCuda = ECHODIFF_WITH_CUDA;
#endif

struct ContextOptions {
  int device = 0;                              // counted round those that the process sees
  size_t memory_limit = 0;                     // bytes, 0 for what the device has
  int64_t workspace_limit = int64_t{1} << 30;  // bytes that one convolution may ask for
  bool deterministic = false;                  // the same bits in each run
  bool tf32 = false;                           // f32 convolutions and matrix products may round their inputs to 11 bits
  bool autotune = false;                       // time the plans of a convolution at its first call, keep the fastest
  std::string plan_folder;                     // where the choices of autotune are kept between runs; "" keeps none
};

class Context;  // context.h

// The process's context. Opened with the defaults by the first call, unless open_context was called before. Throws
// Error(kNoDevice) without a usable GPU.
Context& context();
void open_context(const ContextOptions&);  // none may be open
void close_context();                      // every DeviceBuffer must be gone; the next context() opens a new one

Stream stream();                                                    // of context()
DeviceBuffer allocate(size_t bytes, const std::string& what);       // throws Error(kOutOfMemory) naming `what`
void copy_to_device(void* device, const void* host, size_t bytes);  // host may be written again when this returns
void copy_to_host(void* host, const void* device, size_t bytes);    // has waited when it returns
void copy_on_device(void* to, const void* from, size_t bytes);
void synchronize();  // throws what failed on the device since the last one

struct DeviceStatistics {
  size_t in_use = 0, cached = 0, peak = 0;  // bytes
  int64_t synchronizations = 0;             // how often the host has waited
};
DeviceStatistics device_statistics();

}  // namespace echodiff::cuda
