#include "kernels/sampler_update.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

__global__ void sampler_update_kernel(int64_t n, SamplerRule rule, const PlanStep* rows, int64_t count,
                                      SamplerBuffers buffers) {
  const int64_t i = thread_index();
  if (i < n) sampler_element(rule, rows[i / count], buffers, i);
}

void sampler_update(const SamplerRule& rule, const PlanStep* rows, int64_t N, int64_t count,
                    const SamplerBuffers& buffers, Stream stream) {
  launch_elements(sampler_update_kernel, N * count, stream, rule, rows, count, buffers);
}

}  // namespace echodiff::cuda
