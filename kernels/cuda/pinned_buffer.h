// Page-locked memory of the host: the device reads it by itself while the host goes on.
#pragma once

#include <cstddef>
#include <memory>

namespace echodiff::cuda {

class PinnedBuffer {
 public:
  // Throws Error(kOutOfMemory) naming what was wanted.
  explicit PinnedBuffer(size_t bytes);
  ~PinnedBuffer();  // waits for its copy
  PinnedBuffer(const PinnedBuffer&) = delete;

  // Not to be written between copy_to and wait: the device is reading it.
  char* data();
  size_t bytes() const { return bytes_; }
  // Enqueues a copy of the first `bytes`. One copy at a time; wait before the next.
  void copy_to(void* device, size_t bytes);
  // Until the copy is made; with it, all that was enqueued before it, and nothing that came after. It is no
  // synchronization of DeviceStatistics: the device has later work to go on with.
  void wait();

 private:
  struct Held;
  size_t bytes_;
  std::unique_ptr<Held> held_;
  bool copying_ = false;
};

}  // namespace echodiff::cuda
