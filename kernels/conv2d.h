// y[n,k,i,j] = bias[k] + sum_{c,r,s} x[n, c, i*stride - padding + r*dilation, j*stride - padding + s*dilation]
// w[k,c,r,s] as torch.nn.functional.conv2d (a cross-correlation). Images are (N, H, W, C) in memory, weights (K, R, S,
// C/groups). Out-of-picture samples are 0. The backward-data pass of a convolution is the forward pass of a transposed
// one.
#pragma once

#include <compare>
#include <cstdint>

namespace echodiff {

struct Conv2dGeometry {
  int64_t N, C, H, W;             // of x
  int64_t K, R, S;                // of the weight
  int64_t out_height, out_width;  // of y
  int64_t stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w, groups;
  auto operator<=>(const Conv2dGeometry&) const = default;
};

namespace reference {
template <class T>
void conv2d_forward(const Conv2dGeometry&, const T* x, const T* w, const T* bias, T* y);  // bias (K) may be null
// bias (C) may be null: it is that of a transposed convolution, whose forward pass this is.
template <class T> void conv2d_backward_data(const Conv2dGeometry&, const T* dy, const T* w, const T* bias, T* dx);
template <class T> void conv2d_backward_weight(const Conv2dGeometry&, const T* x, const T* dy, T* dw);
template <class T>
void conv2d_backward_bias(int64_t pixels, int64_t K, const T* dy, T* db);  // db[k] = sum over pixels of dy
}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::conv2d_backward_bias;
using reference::conv2d_backward_data;
using reference::conv2d_backward_weight;
using reference::conv2d_forward;
// The weight as forward reads it: per group, per panel of so many output channels as a register tile has columns,
// [R][S] [C/groups][columns]; the last panel filled up with zeros. Depends on the weight's shape alone, not on x.
int64_t conv2d_packed_size(const Conv2dGeometry&);  // elements
void conv2d_pack(const Conv2dGeometry&, const float* w, float* packed);
void conv2d_forward_packed(const Conv2dGeometry&, const float* x, const float* packed, const float* bias, float* y);
void conv2d_forward(const Conv2dGeometry&, const float* x, const float* w, const float* bias, float* y);
void conv2d_backward_data(const Conv2dGeometry&, const float* dy, const float* w, const float* bias, float* dx);
void conv2d_backward_weight(const Conv2dGeometry&, const float* x, const float* dy, float* dw);
void conv2d_backward_bias(int64_t pixels, int64_t K, const float* dy, float* db);
}  // namespace cpu

namespace cuda {
class Context;  // cuda/context.h

// By cuDNN; T is float or Bfloat16, bias may be null. Throws Error with the shapes where cuDNN has no plan for them.
template <class T> void conv2d_forward(const Conv2dGeometry&, const T* x, const T* w, const T* bias, T* y, Context&);
template <class T>
void conv2d_backward_data(const Conv2dGeometry&, const T* dy, const T* w, const T* bias, T* dx, Context&);
template <class T> void conv2d_backward_weight(const Conv2dGeometry&, const T* x, const T* dy, T* dw, Context&);
}  // namespace cuda
}  // namespace echodiff
