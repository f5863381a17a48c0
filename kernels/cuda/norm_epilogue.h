// What may follow a norm in the same pass over memory: y = silu?(v), v = h (1 + scale) + shift, with h the norm's
// value; and the way back through it. h is never stored: backward computes it again, by a functor
//   Normed  __device__ float operator()(int64_t row, int64_t c) const     row of (N * pixels)
#pragma once

#include "kernels/cuda/column_sums.h"
#include "kernels/elementwise.h"

namespace echodiff::cuda {

template <class T> struct NormEpilogue {
  const T* modulation = nullptr;  // (N, 2C) = scale | shift, or null
  bool silu = false;

  // v of channel c of sample n.
  __device__ float modulated(int64_t n, int64_t c, int64_t C, float h) const {
    if (!modulation) return h;
    const T* scale = modulation + n * 2 * C + c;
    return h * (1 + load(scale)) + load(scale + C);
  }
  __device__ float operator()(int64_t n, int64_t c, int64_t C, float h) const {
    const float v = modulated(n, c, C, h);
    return silu ? v * sigmoid(v) : v;
  }
};

// dv = dy silu'(v) at one element.
template <class T, class Normed> struct SiluGradient {
  ChannelGeometry geo;
  Normed normed;
  NormEpilogue<T> epilogue;
  const T* dy;
  __device__ float operator()(int64_t row, int64_t c, float h) const {
    const float v = epilogue.modulated(row / geo.pixels, c, geo.C, h);
    return load(dy + row * geo.C + c) * sigmoid(v) * (1 + v * sigmoid(-v));
  }
};

// dh = dv (1 + scale)
template <class T, class Normed>
__global__ void norm_epilogue_backward_kernel(int64_t n, SiluGradient<T, Normed> gradient, T* dh) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const ChannelGeometry& geo = gradient.geo;
  const int64_t row = i / geo.C, c = i % geo.C;
  const T* modulation = gradient.epilogue.modulation;
  const float scale = modulation ? load(modulation + row / geo.pixels * 2 * geo.C + c) : 0.0f;
  store(dh + i, gradient(row, c, gradient.normed(row, c)) * (1 + scale));
}

// dscale | dshift = sum over pixels of dv h | dv
template <class T, class Normed> struct ModulationTerm {
  using Sum = float;
  SiluGradient<T, Normed> gradient;
  __device__ float operator()(int64_t n, int64_t pixel, int64_t column) const {
    const int64_t C = gradient.geo.C, row = n * gradient.geo.pixels + pixel, c = column % C;
    const float h = gradient.normed(row, c), dv = gradient(row, c, h);
    return column < C ? dv * h : dv;
  }
};

template <class T> struct StoreModulation {
  int64_t width;  // 2C
  T* dmodulation;
  __device__ void operator()(int64_t n, int64_t c, float total) const { store(dmodulation + n * width + c, total); }
};

inline ColumnShape modulation_shape(const ChannelGeometry& geo) { return {geo.N, geo.pixels, 2 * geo.C}; }

// dh (N, pixels, C) and, unless null, dmodulation (N, 2C). scratch: column_scratch(modulation_shape) floats.
template <class T, class Normed>
void norm_silu_epilogue_backward(const ChannelGeometry& geo, const Normed& normed, const T* modulation, const T* dy,
                                 T* dh, T* dmodulation, float* scratch, Stream stream) {
  const SiluGradient<T, Normed> gradient{geo, normed, {modulation, true}, dy};
  if (dmodulation)
    column_sums(modulation_shape(geo), ModulationTerm<T, Normed>{gradient}, StoreModulation<T>{2 * geo.C, dmodulation},
                scratch, stream);
  launch_elements(norm_epilogue_backward_kernel<T, Normed>, geo.N * geo.pixels * geo.C, stream, gradient, dh);
}

}  // namespace echodiff::cuda
