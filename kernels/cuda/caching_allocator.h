// Device memory that is kept when freed: cudaMalloc and cudaFree wait for the device, a step must not. All work is on
// one stream, so a block may be handed out again as soon as its owner lets go of it.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>

namespace echodiff::cuda {

// Where blocks come from: cudaMalloc and cudaFree, or a test's own. allocate returns null when there is no more.
struct RawMemory {
  std::function<void*(size_t bytes)> allocate;
  std::function<void(void*)> release;
};

class CachingAllocator;

// Owns a block until it is destroyed. Empty for 0 bytes.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBuffer();
  void* data() const { return data_; }

 private:
  friend class CachingAllocator;
  DeviceBuffer(CachingAllocator* owner, void* data, size_t bytes) : owner_(owner), data_(data), bytes_(bytes) {}
  CachingAllocator* owner_ = nullptr;
  void* data_ = nullptr;
  size_t bytes_ = 0;  // of the block
};

// Blocks for work that will run again in the same memory (captured_work.h): those that are freed while the allocator
// holds for it come back to nobody else before it is destroyed. The allocator must outlive it.
class HeldMemory {
 public:
  HeldMemory() = default;
  HeldMemory(const HeldMemory&) = delete;
  ~HeldMemory();

 private:
  friend class CachingAllocator;
  CachingAllocator* owner_ = nullptr;
  std::multimap<size_t, void*> free_;  // by size
};

class CachingAllocator {
 public:
  // limit: bytes that may be held at once, in use and cached together.
  CachingAllocator(RawMemory raw, size_t limit) : raw_(std::move(raw)), limit_(limit) {}
  ~CachingAllocator() { release_cached(); }
  CachingAllocator(const CachingAllocator&) = delete;

  // Throws Error(kOutOfMemory) naming `what`, what was wanted, in use, the peak, and what to do.
  DeviceBuffer allocate(size_t bytes, const std::string& what);
  void release_cached();
  // From now on, what is freed goes to `held`, and what is wanted is looked for there first; null: to all again.
  void hold_for(HeldMemory* held);

  size_t in_use() const { return in_use_; }  // held blocks are
  size_t cached() const { return cached_; }
  size_t peak() const { return peak_; }

 private:
  friend class DeviceBuffer;
  friend class HeldMemory;
  void take_back(void* data, size_t bytes);
  void* fresh(size_t bytes);

  RawMemory raw_;
  size_t limit_, in_use_ = 0, cached_ = 0, peak_ = 0;
  std::multimap<size_t, void*> free_;  // by size
  HeldMemory* held_ = nullptr;
};

}  // namespace echodiff::cuda
