// Backward gathers: each input adds its windows in row-major order, so nothing is added atomically.
#include "kernels/pool.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

template <class T>
__global__ void max_pool2d_forward_kernel(int64_t n, MaxPoolGeometry geo, const T* x, T* y, int64_t* index) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % geo.C, q = i / geo.C % geo.Q, p = i / geo.C / geo.Q % geo.P, sample = i / geo.C / geo.Q / geo.P;
  float best = -INFINITY;
  int64_t where = -1;
  for (int64_t r = 0; r < geo.kernel; ++r) {
    const int64_t h = p * geo.stride - geo.padding + r * geo.dilation;
    if (h < 0 || h >= geo.H) continue;
    for (int64_t s = 0; s < geo.kernel; ++s) {
      const int64_t w = q * geo.stride - geo.padding + s * geo.dilation;
      if (w < 0 || w >= geo.W) continue;
      const float v = load(x + ((sample * geo.H + h) * geo.W + w) * geo.C + c);
      if (v > best || where < 0 || v != v) {
        best = v;
        where = h * geo.W + w;
      }
    }
  }
  store(y + i, best);
  if (index) index[i] = where;
}

// The output along one axis whose window has `in` at tap r, or -1.
__device__ int64_t output_of_tap(const MaxPoolGeometry& geo, int64_t in, int64_t r, int64_t outputs) {
  const int64_t start = in + geo.padding - r * geo.dilation;
  return start >= 0 && start % geo.stride == 0 && start / geo.stride < outputs ? start / geo.stride : -1;
}

template <class T>
__global__ void max_pool2d_backward_kernel(int64_t n, MaxPoolGeometry geo, const T* dy, const int64_t* index, T* dx) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % geo.C, w = i / geo.C % geo.W, h = i / geo.C / geo.W % geo.H, sample = i / geo.C / geo.W / geo.H;
  float sum = 0;
  for (int64_t r = geo.kernel - 1; r >= 0; --r) {
    const int64_t p = output_of_tap(geo, h, r, geo.P);
    if (p < 0) continue;
    for (int64_t s = geo.kernel - 1; s >= 0; --s) {
      const int64_t q = output_of_tap(geo, w, s, geo.Q);
      if (q < 0) continue;
      const int64_t at = ((sample * geo.P + p) * geo.Q + q) * geo.C + c;
      if (index[at] == h * geo.W + w) sum += load(dy + at);
    }
  }
  store(dx + i, sum);
}

__device__ float window_divisor(const PoolAxisView& rows, const PoolAxisView& columns, int64_t p, int64_t q) {
  const int64_t divisor = rows.divisor[p] * columns.divisor[q];
  return float(divisor > 1 ? divisor : 1);
}

template <class T>
__global__ void avg_pool2d_forward_kernel(int64_t n, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* x,
                                          T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % C, q = i / C % columns.out, p = i / C / columns.out % rows.out,
                sample = i / C / columns.out / rows.out;
  float sum = 0;
  for (int64_t h = rows.begin[p]; h < rows.end[p]; ++h)
    for (int64_t w = columns.begin[q]; w < columns.end[q]; ++w)
      sum += load(x + ((sample * rows.in + h) * columns.in + w) * C + c);
  store(y + i, sum / window_divisor(rows, columns, p, q));
}

// The first window that ends after `in`; ends never decrease.
__device__ int64_t first_window(const PoolAxisView& axis, int64_t in) {
  int64_t low = 0, high = axis.out;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (axis.end[middle] > in) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

template <class T>
__global__ void avg_pool2d_backward_kernel(int64_t n, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* dy,
                                           T* dx) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % C, w = i / C % columns.in, h = i / C / columns.in % rows.in,
                sample = i / C / columns.in / rows.in;
  const int64_t first_q = first_window(columns, w);
  float sum = 0;
  for (int64_t p = first_window(rows, h); p < rows.out && rows.begin[p] <= h; ++p)
    for (int64_t q = first_q; q < columns.out && columns.begin[q] <= w; ++q)
      sum += load(dy + ((sample * rows.out + p) * columns.out + q) * C + c) / window_divisor(rows, columns, p, q);
  store(dx + i, sum);
}

template <class T> void max_pool2d_forward(MaxPoolGeometry geo, const T* x, T* y, int64_t* index, Stream stream) {
  launch_elements(max_pool2d_forward_kernel<T>, geo.N * geo.P * geo.Q * geo.C, stream, geo, x, y, index);
}
template <class T>
void max_pool2d_backward(MaxPoolGeometry geo, const T* dy, const int64_t* index, T* dx, Stream stream) {
  launch_elements(max_pool2d_backward_kernel<T>, geo.N * geo.H * geo.W * geo.C, stream, geo, dy, index, dx);
}
template <class T>
void avg_pool2d_forward(int64_t N, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* x, T* y,
                        Stream stream) {
  launch_elements(avg_pool2d_forward_kernel<T>, N * rows.out * columns.out * C, stream, C, rows, columns, x, y);
}
template <class T>
void avg_pool2d_backward(int64_t N, int64_t C, PoolAxisView rows, PoolAxisView columns, const T* dy, T* dx,
                         Stream stream) {
  launch_elements(avg_pool2d_backward_kernel<T>, N * rows.in * columns.in * C, stream, C, rows, columns, dy, dx);
}

template decltype(max_pool2d_forward<float>) max_pool2d_forward<float>;
template decltype(max_pool2d_forward<Bfloat16>) max_pool2d_forward<Bfloat16>;
template decltype(max_pool2d_backward<float>) max_pool2d_backward<float>;
template decltype(max_pool2d_backward<Bfloat16>) max_pool2d_backward<Bfloat16>;
template decltype(avg_pool2d_forward<float>) avg_pool2d_forward<float>;
template decltype(avg_pool2d_forward<Bfloat16>) avg_pool2d_forward<Bfloat16>;
template decltype(avg_pool2d_backward<float>) avg_pool2d_backward<float>;
template decltype(avg_pool2d_backward<Bfloat16>) avg_pool2d_backward<Bfloat16>;

}  // namespace echodiff::cuda
