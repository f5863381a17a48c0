#include "kernels/cuda/backend.h"

#include <cuda_runtime_api.h>

#include <memory>

#include "kernels/cuda/check.h"
#include "kernels/cuda/context.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

std::unique_ptr<Context>& open_one() {
  static std::unique_ptr<Context> context;
  return context;
}

void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (bytes > 0) check_cuda(cudaMemcpyAsync(to, from, bytes, kind, stream()));
}

}  // namespace

void open_context(const ContextOptions& options) {
  check(!open_one(), "cuda: a context is open already; open_context comes before every other call");
  open_one() = std::make_unique<Context>(options);
}

Context& context() {
  if (!open_one()) open_context({});
  return *open_one();
}

void close_context() {
  if (!open_one()) return;
  check(open_one()->memory().in_use() == 0, "cuda: the context is closed while ", open_one()->memory().in_use(),
        " bytes of its memory are in use");
  open_one().reset();
}

Stream stream() { return context().stream(); }

DeviceBuffer allocate(size_t bytes, const std::string& what) { return context().memory().allocate(bytes, what); }

void copy_to_device(void* device, const void* host, size_t bytes) {
  // Pageable memory is staged before the call returns.
  copy(device, context().kept_for_copy(host, bytes), bytes, cudaMemcpyHostToDevice);
}
void copy_to_host(void* host, const void* device, size_t bytes) {
  copy(host, device, bytes, cudaMemcpyDeviceToHost);
  synchronize();
}
void copy_on_device(void* to, const void* from, size_t bytes) { copy(to, from, bytes, cudaMemcpyDeviceToDevice); }

void synchronize() { context().synchronize(); }

DeviceStatistics device_statistics() {
  Context& open = context();
  return {open.memory().in_use(), open.memory().cached(), open.memory().peak(), open.synchronizations()};
}

}  // namespace echodiff::cuda
