#include "kernels/sampler_update.h"

namespace echodiff::reference {

void sampler_update(const SamplerRule& rule, const PlanStep& row, int64_t count, const SamplerBuffers& buffers) {
  for (int64_t i = 0; i < count; ++i) sampler_element(rule, row, buffers, i);
}

}  // namespace echodiff::reference
