// Arithmetic between tensors, with broadcasting, and the per-channel forms that condition a network on its time step.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/strided_walk.h"

namespace echodiff {

enum class Arithmetic { add, sub, mul, div };

// Dimensions of y in memory order, outermost first, with the strides of (a, b, y); 0 where an input is repeated.
using BroadcastGeometry = PoolVector<StridedWalk<3>::Dimension>;

struct ChannelGeometry {
  int64_t N, pixels, C;  // x is (N, pixels, C) in memory
};

namespace reference {

template <class T> void arithmetic(Arithmetic kind, const BroadcastGeometry& geo, const T* a, const T* b, T* y);

// y = x scale + offset
template <class T> void affine(int64_t n, const T* x, double scale, double offset, T* y);

// y = x + e (N, C)
template <class T> void add_channel(ChannelGeometry geo, const T* x, const T* e, T* y);

// y = x (1 + scale) + shift, e (N, 2C) = scale | shift; without_shift gives dx from dy.
template <class T> void scale_shift(ChannelGeometry geo, const T* x, const T* e, bool without_shift, T* y);

// de (N, 2C) = sum over pixels of dy x | dy
template <class T> void scale_shift_backward(ChannelGeometry geo, const T* x, const T* dy, T* de);

}  // namespace reference

namespace cuda {
template <class T> void arithmetic(Arithmetic kind, const BroadcastGeometry& geo, const T* a, const T* b, T* y, Stream);
template <class T> void affine(int64_t n, const T* x, double scale, double offset, T* y, Stream);
template <class T> void add_channel(ChannelGeometry geo, const T* x, const T* e, T* y, Stream);
template <class T> void scale_shift(ChannelGeometry geo, const T* x, const T* e, bool without_shift, T* y, Stream);
int64_t scale_shift_backward_scratch(ChannelGeometry geo);  // floats
template <class T>
void scale_shift_backward(ChannelGeometry geo, const T* x, const T* dy, T* de, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
