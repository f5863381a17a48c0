#include "kernels/clip_gradients.h"

namespace echodiff::reference {

double gradient_squares(const GradientTensor& tensor, int64_t begin, int64_t end) {
  double sum = 0;
  for (int64_t k = begin; k < end; ++k) sum += double(tensor.gradient[k]) * double(tensor.gradient[k]);
  return sum;
}

void clip_gradients(float factor, const GradientTensor& tensor, int64_t begin, int64_t end) {
  for (int64_t k = begin; k < end; ++k) tensor.clipped[k] = tensor.gradient[k] * factor;
}

}  // namespace echodiff::reference
