// Broadcasting between shapes, outside the graph: what arithmetic, reductions and expand share.
#pragma once

#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

// The shape both broadcast to: equal ranks with sizes equal or 1, or one side a scalar. Throws naming op and shapes.
Shape broadcast_shape(const char* op, const Shape& a, const Shape& b);

// Memory strides of a tensor `from` per logical dimension of `to`, which it broadcasts to: 0 where it is repeated.
PoolVector<int64_t> broadcast_strides(const Shape& from, const Shape& to);

// x repeated to `shape`; the sum of x over what was repeated (its gradient), times scale.
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor sum_to(const Tensor& x, const Shape& shape, double scale = 1);

}  // namespace echodiff
