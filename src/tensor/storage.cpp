// The pool keeps freed blocks by size class: powers of two with eight steps between (at most 12.5 % waste).
#include "tensor/storage.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "kernels/cuda/backend.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

class Pool {
 public:
  void* take(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<void*>& blocks = free_[bytes];
    void* block = nullptr;
    if (!blocks.empty()) {
      block = blocks.back();
      blocks.pop_back();
      statistics_.pooled -= bytes;
    } else {
      block = std::aligned_alloc(64, size_t(bytes));
      if (block == nullptr) {
        release_locked();
        block = std::aligned_alloc(64, size_t(bytes));
      }
      check_input(block != nullptr, Fault::kOutOfMemory, "out of memory: wanted ", bytes, " bytes, in use ",
                  statistics_.in_use, ", peak ", statistics_.peak, "; use a smaller --batch, --image-size or --dim");
      ++statistics_.system_allocations;
    }
    statistics_.in_use += bytes;
    statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
    return block;
  }
  void give(void* block, int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_[bytes].push_back(block);
    statistics_.in_use -= bytes;
    statistics_.pooled += bytes;
  }
  MemoryStatistics statistics() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return statistics_;
  }

 private:
  void release_locked() {
    for (auto& [bytes, blocks] : free_) {
      for (void* block : blocks) std::free(block);
      statistics_.pooled -= bytes * int64_t(blocks.size());
      blocks.clear();
    }
  }
  std::mutex mutex_;
  std::map<int64_t, std::vector<void*>> free_;
  MemoryStatistics statistics_;
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool() {
  static Pool& pool = *new Pool;
  return pool;
}

int64_t size_class(int64_t bytes) {
  int64_t power = 512;
  while (power < bytes) power *= 2;
  const int64_t step = std::max<int64_t>(64, power / 16);
  return (std::max<int64_t>(bytes, 64) + step - 1) / step * step;
}

}  // namespace

Storage::Storage(int64_t bytes) : bytes_(bytes), device_(Device::kCpu), data_(pool().take(size_class(bytes))) {}
Storage::Storage(int64_t bytes, const std::string& what) : bytes_(bytes), device_(Device::kCuda), data_(nullptr) {
  if constexpr (cuda::kBuiltWithCuda) {
    buffer_ = cuda::allocate(size_t(bytes), what);
    data_ = buffer_.data();
  } else {
    throw Error(Fault::kNoDevice, what + ": this build has no CUDA; use --device cpu");
  }
}
Storage::~Storage() {
  if (device_ == Device::kCpu) pool().give(data_, size_class(bytes_));
}

MemoryStatistics memory_statistics() { return pool().statistics(); }

}  // namespace echodiff
