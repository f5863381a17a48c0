#include "kernels/sampler_update.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

__global__ void sampler_update_kernel(int64_t n, const SamplerUpdate* updates, int64_t count) {
  const int64_t i = thread_index();
  if (i < n) sampler_element(updates[i / count], i % count);
}

void sampler_update(const SamplerUpdate* updates, int64_t N, int64_t count, Stream stream) {
  launch_elements(sampler_update_kernel, N * count, stream, updates, count);
}

}  // namespace echodiff::cuda
