#include "kernels/ema.h"

namespace echodiff::reference {

void ema_update(float share, const EmaTensor& tensor, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; ++k) tensor.average[k] += share * (tensor.now[k] - tensor.average[k]);
}

}  // namespace echodiff::reference
