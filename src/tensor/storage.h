// A block of memory that tensors share, counted and reused.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/cuda/caching_allocator.h"
#include "tensor/device.h"

namespace echodiff {

// Uninitialised memory, 64-byte aligned, from the pool (kernels/memory_pool.h). Throws Error(kOutOfMemory) naming
// wanted and in use. On cuda it comes from the context's caching allocator, and `what` names it in that error.
class Storage {
 public:
  explicit Storage(int64_t bytes);
  Storage(int64_t bytes, const std::string& what);  // on cuda
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() { return data_; }  // of the device it is on
  Device device() const { return device_; }
  int64_t bytes() const { return bytes_; }
  uint64_t version() const { return version_; }  // how often it was written after its making
  void bump_version() { ++version_; }

 private:
  int64_t bytes_;
  Device device_;
  cuda::DeviceBuffer buffer_;  // on cuda
  void* data_;
  uint64_t version_ = 0;
};

}  // namespace echodiff
