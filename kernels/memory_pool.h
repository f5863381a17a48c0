// Memory of tensors, of kernels' buffers and of autograd's small objects: taken from the system in segments, which are
// split, merged and handed out again, so that a step after the first asks the system for nothing.
#pragma once

#include <cstdint>
#include <vector>

namespace echodiff {

// Uninitialised, 64-byte aligned. Throws Error(kOutOfMemory) naming wanted, in use and peak.
void* pool_take(int64_t bytes);
void pool_give(void* memory, int64_t bytes) noexcept;  // `bytes` as it was taken

struct MemoryStatistics {
  int64_t in_use = 0, peak = 0, held = 0;  // bytes; held: all segments, of which untouched pages cost nothing
  int64_t system_allocations = 0;          // how often the system was asked for a segment
};
MemoryStatistics memory_statistics();

// For std containers and std::allocate_shared.
template <class T> struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U> PoolAllocator(const PoolAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(pool_take(int64_t(n * sizeof(T)))); }
  void deallocate(T* p, std::size_t n) noexcept { pool_give(p, int64_t(n * sizeof(T))); }
  template <class U> bool operator==(const PoolAllocator<U>&) const { return true; }
};
template <class T> using PoolVector = std::vector<T, PoolAllocator<T>>;

}  // namespace echodiff
