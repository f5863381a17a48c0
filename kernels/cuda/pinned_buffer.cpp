#include "kernels/cuda/pinned_buffer.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/context.h"
#include "kernels/error.h"

namespace echodiff::cuda {

struct PinnedBuffer::Held {
  Owned<void*, cudaFreeHost> memory;
  Owned<cudaEvent_t, cudaEventDestroy> copied;
};

PinnedBuffer::PinnedBuffer(size_t bytes) : bytes_(bytes), held_(std::make_unique<Held>()) {
  context();  // of which the memory is
  void* memory = nullptr;
  const cudaError_t status = cudaHostAlloc(&memory, bytes, cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw Error(Fault::kOutOfMemory, concat_message("cuda: page-locked memory of the host: wanted ", bytes,
                                                    " bytes; use a smaller --batch or --image-size"));
  }
  check_cuda(status);
  held_->memory.reset(memory);
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  held_->copied.reset(event);
}

PinnedBuffer::~PinnedBuffer() {
  if (copying_) cudaEventSynchronize(held_->copied.get());  // after a lost context there is nothing to wait for
}

char* PinnedBuffer::data() { return static_cast<char*>(held_->memory.get()); }

void PinnedBuffer::copy_to(void* device, size_t bytes) {
  check(!copying_ && bytes <= bytes_, "PinnedBuffer: ", bytes, " of ", bytes_, " bytes to copy, the last copy ",
        copying_ ? "not waited for" : "done");
  if (bytes == 0) return;
  check_cuda(cudaMemcpyAsync(device, data(), bytes, cudaMemcpyHostToDevice, stream()));
  const cudaError_t recorded = cudaEventRecord(held_->copied.get(), stream());
  if (recorded != cudaSuccess) cudaStreamSynchronize(stream());  // nothing else says when the memory is free
  check_cuda(recorded);
  copying_ = true;
}

void PinnedBuffer::wait() {
  if (!copying_) return;
  copying_ = false;
  check_cuda(cudaEventSynchronize(held_->copied.get()));
}

}  // namespace echodiff::cuda
