#include "kernels/scratch.h"

#include <array>

#include "kernels/memory_pool.h"

namespace echodiff {
namespace {

struct Buffer {
  float* memory = nullptr;
  int64_t size = 0;
  ~Buffer() { release(); }
  void release() {
    if (memory != nullptr) pool_give(memory, size * int64_t(sizeof(float)));
    memory = nullptr;
    size = 0;
  }
  void take(int64_t n) {
    release();
    memory = static_cast<float*>(pool_take(n * int64_t(sizeof(float))));
    size = n;
  }
};

}  // namespace

float* scratch(Scratch part, int64_t n) {
  thread_local std::array<Buffer, size_t(Scratch::count)> buffers;
  Buffer& buffer = buffers[size_t(part)];
  if (buffer.size < n) buffer.take(n);
  return buffer.memory;
}

}  // namespace echodiff
