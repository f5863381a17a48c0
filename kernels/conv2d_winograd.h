// The minimal filtering algorithm F(4x4, 3x3) of Winograd for 3x3 convolutions of stride 1 (Lavin & Gray 2015,
// arXiv:1509.09308): 36 products where a direct convolution takes 144. With tiles d of 6x6 samples that overlap by 2,
//   y = A^T [(G w G^T) . (B^T d B)] A,   dw = G^T [sum over tiles (A dy A^T) . (B^T d B)] G,
// and the products, summed over channels (or over tiles), are 36 matrix products, one per frequency. Rounding errors
// are up to 26 times those of a direct convolution. Every element of y is computed in one way, whatever N is.
#pragma once

#include "kernels/conv2d.h"

namespace echodiff::cpu {

// Whether the convolution is one of those, and large enough to gain. Does not look at N.
bool winograd_suits(const Conv2dGeometry&);

// As the functions of conv2d.h, for geometries that suit.
void winograd_forward(const Conv2dGeometry&, const float* x, const float* packed, const float* bias, float* y);
void winograd_backward_data(const Conv2dGeometry&, const float* dy, const float* w, const float* bias, float* dx);
void winograd_backward_weight(const Conv2dGeometry&, const float* x, const float* dy, float* dw);

}  // namespace echodiff::cpu
