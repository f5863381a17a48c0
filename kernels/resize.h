// Resizing as two passes, one per axis, each a small table: y[j] = sum over taps of weight * x[index]. The gradient is
// the transposed table. Coordinates, clamping and filters as in torch.nn.functional.interpolate:
//   nearest    index floor(j * in / out), computed in float as PyTorch does
//   bilinear   two taps; align_corners maps first to first and last to last pixel
//   bicubic    four taps, Keys 1981 with a = -0.75, indices clamped at the border
//   antialias  triangle filter (bicubic: a = -0.5) widened by in / out when it shrinks, weights normalised
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct AxisTaps {
  int64_t in, out;
  std::vector<int64_t> begin;  // (out + 1): output j owns taps [begin[j], begin[j + 1])
  std::vector<int64_t> index;  // per tap: which input
  std::vector<double> weight;
};

struct Upsample2Geometry {
  int64_t N, C, H, W;  // of the small picture
};

AxisTaps nearest_taps(int64_t in, int64_t out);
AxisTaps bilinear_taps(int64_t in, int64_t out, bool align_corners);
AxisTaps bicubic_taps(int64_t in, int64_t out, bool align_corners);
AxisTaps antialias_taps(int64_t in, int64_t out, bool cubic);
AxisTaps transpose(const AxisTaps& taps);

namespace reference {

// x (outer, taps.in, inner) -> y (outer, taps.out, inner)
template <class T> void resize_axis(const AxisTaps& taps, int64_t outer, int64_t inner, const T* x, T* y);

// x (N, H, W, C) -> y (N, 2H, 2W, C), each pixel four times; backward sums the four.
template <class T> void upsample_nearest2_forward(Upsample2Geometry geo, const T* x, T* y);
template <class T> void upsample_nearest2_backward(Upsample2Geometry geo, const T* dy, T* dx);

}  // namespace reference

namespace cuda {
// AxisTaps whose tables are on the device, weights as float.
struct AxisTapsView {
  int64_t in, out;
  const int64_t *begin, *index;
  const float* weight;
};

template <class T> void resize_axis(AxisTapsView taps, int64_t outer, int64_t inner, const T* x, T* y, Stream);
template <class T> void upsample_nearest2_forward(Upsample2Geometry geo, const T* x, T* y, Stream);
template <class T> void upsample_nearest2_backward(Upsample2Geometry geo, const T* dy, T* dx, Stream);
}  // namespace cuda
}  // namespace echodiff
