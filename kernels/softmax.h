// y_k = exp(x_k - max x) / sum_j exp(x_j - max x) along one dimension. A row of -inf alone gives NaN, as in PyTorch.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct SoftmaxGeometry {
  int64_t outer, K, inner;  // memory is (outer, K, inner); the softmax runs over K
};

namespace reference {

template <class T> void softmax_forward(SoftmaxGeometry geo, const T* x, T* y);

// dx_k = y_k (dy_k - sum_j dy_j y_j)
template <class T> void softmax_backward(SoftmaxGeometry geo, const T* y, const T* dy, T* dx);

}  // namespace reference

namespace cuda {
template <class T> void softmax_forward(SoftmaxGeometry geo, const T* x, T* y, Stream);
template <class T> void softmax_backward(SoftmaxGeometry geo, const T* y, const T* dy, T* dx, Stream);  // dx may be dy
}  // namespace cuda
}  // namespace echodiff
