// What stands beside activations of bf16 in an op: parameters come in f32, statistics are kept in it.
#pragma once

#include "tensor/tensor.h"

namespace echodiff {

// e, rounded to bf16 where x is: a weight, or what came from the time embedding. Its gradient is e's dtype again.
Tensor rounded_like(const Tensor& x, const Tensor& e);

inline DType statistics_dtype(const Tensor& x) { return x.dtype() == DType::bf16 ? DType::f32 : x.dtype(); }
inline Tensor empty_statistics(const Shape& shape, const Tensor& x) {
  return empty(shape, statistics_dtype(x), x.device());
}

}  // namespace echodiff
