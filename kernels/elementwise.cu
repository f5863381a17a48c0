#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/walk.h"
#include "kernels/elementwise.h"

namespace echodiff::cuda {

template <class T>
__global__ void arithmetic_kernel(int64_t n, Arithmetic kind, DeviceWalk<3> walk, const T* a, const T* b, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const DeviceWalk<3>::Offsets at = walk.offsets(i);
  const float p = load(a + at.of[0]), q = load(b + at.of[1]);
  const float out = kind == Arithmetic::add   ? p + q
                    : kind == Arithmetic::sub ? p - q
                    : kind == Arithmetic::mul ? p * q
                                              : p / q;
  store(y + at.of[2], out);
}

template <class T> __global__ void affine_kernel(int64_t n, const T* x, float scale, float offset, T* y) {
  const int64_t i = thread_index();
  if (i < n) store(y + i, load(x + i) * scale + offset);
}

template <class T> __global__ void add_channel_kernel(int64_t n, ChannelGeometry geo, const T* x, const T* e, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t sample = i / (geo.pixels * geo.C);
  store(y + i, load(x + i) + load(e + sample * geo.C + i % geo.C));
}

template <class T>
__global__ void scale_shift_kernel(int64_t n, ChannelGeometry geo, const T* x, const T* e, bool without_shift, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const T* scale = e + i / (geo.pixels * geo.C) * 2 * geo.C + i % geo.C;
  const float scaled = load(x + i) * (1 + load(scale));
  store(y + i, without_shift ? scaled : scaled + load(scale + geo.C));
}

template <class T> struct ScaleShiftTerm {
  using Sum = float;
  ChannelGeometry geo;
  const T *x, *dy;
  __device__ float operator()(int64_t n, int64_t pixel, int64_t c) const {
    const int64_t at = (n * geo.pixels + pixel) * geo.C + c % geo.C;
    return c < geo.C ? load(dy + at) * load(x + at) : load(dy + at);
  }
};

template <class T> struct StoreScaleShift {
  int64_t width;
  T* de;
  __device__ void operator()(int64_t n, int64_t c, float total) const { store(de + n * width + c, total); }
};

template <class T>
void arithmetic(Arithmetic kind, const BroadcastGeometry& geo, const T* a, const T* b, T* y, Stream stream) {
  const DeviceWalk<3> walk{StridedWalk<3>(geo)};
  launch_elements(arithmetic_kernel<T>, walk.count, stream, kind, walk, a, b, y);
}

template <class T> void affine(int64_t n, const T* x, double scale, double offset, T* y, Stream stream) {
  launch_elements(affine_kernel<T>, n, stream, x, float(scale), float(offset), y);
}

template <class T> void add_channel(ChannelGeometry geo, const T* x, const T* e, T* y, Stream stream) {
  launch_elements(add_channel_kernel<T>, geo.N * geo.pixels * geo.C, stream, geo, x, e, y);
}

template <class T>
void scale_shift(ChannelGeometry geo, const T* x, const T* e, bool without_shift, T* y, Stream stream) {
  launch_elements(scale_shift_kernel<T>, geo.N * geo.pixels * geo.C, stream, geo, x, e, without_shift, y);
}

int64_t scale_shift_backward_scratch(ChannelGeometry geo) { return column_scratch({geo.N, geo.pixels, 2 * geo.C}); }

template <class T>
void scale_shift_backward(ChannelGeometry geo, const T* x, const T* dy, T* de, float* scratch, Stream stream) {
  column_sums({geo.N, geo.pixels, 2 * geo.C}, ScaleShiftTerm<T>{geo, x, dy}, StoreScaleShift<T>{2 * geo.C, de}, scratch,
              stream);
}

template decltype(arithmetic<float>) arithmetic<float>;
template decltype(arithmetic<Bfloat16>) arithmetic<Bfloat16>;
template decltype(affine<float>) affine<float>;
template decltype(affine<Bfloat16>) affine<Bfloat16>;
template decltype(add_channel<float>) add_channel<float>;
template decltype(add_channel<Bfloat16>) add_channel<Bfloat16>;
template decltype(scale_shift<float>) scale_shift<float>;
template decltype(scale_shift<Bfloat16>) scale_shift<Bfloat16>;
template decltype(scale_shift_backward<float>) scale_shift_backward<float>;
template decltype(scale_shift_backward<Bfloat16>) scale_shift_backward<Bfloat16>;

}  // namespace echodiff::cuda
