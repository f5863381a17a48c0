// How far two tensors are apart.
#pragma once

#include "tensor/tensor.h"

namespace echodiff {

struct TensorDifference {
  double absolute = 0;    // the largest |a - b|
  double relative = 0;    // that over the largest |a|; `absolute` itself where that is 0
  int64_t different = 0;  // elements whose values differ; a NaN equals a NaN
};
// Of tensors of one shape, whatever their dtypes.
TensorDifference difference_of(const Tensor& a, const Tensor& b);

}  // namespace echodiff
