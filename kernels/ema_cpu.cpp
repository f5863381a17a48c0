#include "kernels/ema.h"

#include "kernels/simd_kernels.h"

namespace echodiff::cpu {

void ema_update(float share, const EmaTensor& tensor, int64_t begin, int64_t end) {
  simd_kernels().ema_update(share, tensor, begin, end);
}

}  // namespace echodiff::cpu
