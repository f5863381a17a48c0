#include "kernels/adam.h"

#include "kernels/simd_kernels.h"

namespace echodiff::cpu {

bool adam_update(const AdamCoefficients& by, const AdamTensor& tensor, int64_t begin, int64_t end) {
  return simd_kernels().adam_update(by, tensor, begin, end);
}

}  // namespace echodiff::cpu
