#include "kernels/sampler_update.h"

namespace echodiff::reference {

void sampler_update(const SamplerUpdate& update, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sampler_element(update, i);
}

}  // namespace echodiff::reference
