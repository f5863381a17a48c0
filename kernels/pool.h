// Pooling of x (N, H, W, C) over windows, as in PyTorch.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/memory_pool.h"

namespace echodiff {

struct MaxPoolGeometry {
  int64_t N, C, H, W, P, Q;  // H x W -> P x Q
  int64_t kernel, stride, padding, dilation;
};

// The windows of one axis: output p averages inputs [begin[p], end[p]) and divides by divisor[p].
struct PoolAxis {
  int64_t in, out;
  PoolVector<int64_t> begin, end, divisor;
};
struct AvgPoolGeometry {
  int64_t N, C;
  PoolAxis rows, columns;
};

// Outputs along one axis. ceil_mode keeps a partial last window only if it starts inside the input or its left padding.
int64_t pooled_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode);
PoolAxis window_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding, bool count_include_pad);
PoolAxis adaptive_axis(int64_t in, int64_t out);  // [floor(p in / out), ceil((p + 1) in / out))

namespace reference {

// Padding counts as -inf. index (N, P, Q, C): h W + w of the first maximum in row-major order, -1 for a window without
// inputs; may be null. A NaN wins.
template <class T> void max_pool2d_forward(MaxPoolGeometry geo, const T* x, T* y, int64_t* index);
template <class T> void max_pool2d_backward(MaxPoolGeometry geo, const T* dy, const int64_t* index, T* dx);

template <class T> void avg_pool2d_forward(const AvgPoolGeometry& geo, const T* x, T* y);
template <class T> void avg_pool2d_backward(const AvgPoolGeometry& geo, const T* dy, T* dx);

}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::max_pool2d_forward;
void max_pool2d_forward(MaxPoolGeometry geo, const float* x, float* y, int64_t* index);
}  // namespace cpu

namespace cuda {
// A PoolAxis whose tables are on the device.
struct PoolAxisView {
  int64_t in, out;
  const int64_t *begin, *end, *divisor;
};

template <class T> void max_pool2d_forward(MaxPoolGeometry geo, const T* x, T* y, int64_t* index, Stream);
template <class T> void max_pool2d_backward(MaxPoolGeometry geo, const T* dy, const int64_t* index, T* dx, Stream);
template <class T>
void avg_pool2d_forward(int64_t N, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* x, T* y, Stream);
template <class T>
void avg_pool2d_backward(int64_t N, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* dy, T* dx, Stream);
}  // namespace cuda
}  // namespace echodiff
