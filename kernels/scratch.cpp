#include "kernels/scratch.h"

#include <array>
#include <cstdlib>
#include <new>

namespace echodiff {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};
struct Buffer {
  std::unique_ptr<float, Free> memory;
  int64_t size = 0;
};

}  // namespace

float* scratch(Slot slot, int64_t n) {
  thread_local std::array<Buffer, size_t(Slot::count)> buffers;
  Buffer& buffer = buffers[size_t(slot)];
  if (buffer.size < n) {
    const int64_t bytes = (n * int64_t(sizeof(float)) + 63) / 64 * 64;
    buffer.memory.reset(static_cast<float*>(std::aligned_alloc(64, size_t(bytes))));
    buffer.size = buffer.memory ? n : 0;
    if (!buffer.memory) throw std::bad_alloc();
  }
  return buffer.memory.get();
}

}  // namespace echodiff
