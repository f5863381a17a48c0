#include "kernels/resize.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

template <class T> __global__ void resize_axis_kernel(int64_t n, AxisTapsView taps, int64_t inner, const T* x, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t column = i % inner, j = i / inner % taps.out, outer = i / inner / taps.out;
  const T* in = x + outer * taps.in * inner + column;
  float sum = 0;
  for (int64_t k = taps.begin[j]; k < taps.begin[j + 1]; ++k) sum += taps.weight[k] * load(in + taps.index[k] * inner);
  store(y + i, sum);
}

template <class T>
__global__ void upsample_nearest2_forward_kernel(int64_t n, Upsample2Geometry geo, const T* x, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % geo.C, w = i / geo.C % (2 * geo.W), row = i / geo.C / (2 * geo.W);  // row of (N 2H)
  y[i] = x[(row / 2 * geo.W + w / 2) * geo.C + c];
}

template <class T>
__global__ void upsample_nearest2_backward_kernel(int64_t n, Upsample2Geometry geo, const T* dy, T* dx) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % geo.C, w = i / geo.C % geo.W, row = i / geo.C / geo.W;  // row of (N H)
  const int64_t line = 2 * geo.W * geo.C;
  const T *top = dy + row * 2 * line + 2 * w * geo.C + c, *bottom = top + line;
  store(dx + i, (load(top) + load(top + geo.C)) + (load(bottom) + load(bottom + geo.C)));
}

template <class T> void resize_axis(AxisTapsView taps, int64_t outer, int64_t inner, const T* x, T* y, Stream stream) {
  launch_elements(resize_axis_kernel<T>, outer * taps.out * inner, stream, taps, inner, x, y);
}
template <class T> void upsample_nearest2_forward(Upsample2Geometry geo, const T* x, T* y, Stream stream) {
  launch_elements(upsample_nearest2_forward_kernel<T>, geo.N * geo.H * geo.W * geo.C * 4, stream, geo, x, y);
}
template <class T> void upsample_nearest2_backward(Upsample2Geometry geo, const T* dy, T* dx, Stream stream) {
  launch_elements(upsample_nearest2_backward_kernel<T>, geo.N * geo.H * geo.W * geo.C, stream, geo, dy, dx);
}

template decltype(resize_axis<float>) resize_axis<float>;
template decltype(resize_axis<Bfloat16>) resize_axis<Bfloat16>;
template decltype(upsample_nearest2_forward<float>) upsample_nearest2_forward<float>;
template decltype(upsample_nearest2_forward<Bfloat16>) upsample_nearest2_forward<Bfloat16>;
template decltype(upsample_nearest2_backward<float>) upsample_nearest2_backward<float>;
template decltype(upsample_nearest2_backward<Bfloat16>) upsample_nearest2_backward<Bfloat16>;

}  // namespace echodiff::cuda
