#include "kernels/adam.h"

#include <limits>

namespace echodiff::reference {

bool adam_update(const AdamCoefficients& coefficients, const AdamTensor& all, int64_t begin, int64_t end) {
  const AdamCoefficients by = coefficients;  // local: nothing written below can change them, so the loop vectorises
  const AdamTensor tensor = all;
  bool finite = true;
  for (int64_t k = begin; k < end; ++k) {
    adam_element(by, tensor, k);
    finite &= std::fabs(tensor.theta[k]) <= std::numeric_limits<float>::max();
  }
  return finite;
}

}  // namespace echodiff::reference
