#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/combine_rows.h"
#include "kernels/softmax.h"

namespace echodiff::cuda {

// A block owns a tile of neighbouring columns along `inner`; its rows of threads share K.
struct SoftmaxTile {
  int64_t first;  // offset of k = 0 in this thread's column
  bool inside;
  __device__ explicit SoftmaxTile(const SoftmaxGeometry& geo) {
    const int64_t tiles = (geo.inner + blockDim.x - 1) / blockDim.x;
    const int64_t column = int64_t(blockIdx.x) % tiles * blockDim.x + threadIdx.x;
    inside = column < geo.inner;
    first = int64_t(blockIdx.x) / tiles * geo.K * geo.inner + column;
  }
};

template <class T> __global__ void softmax_forward_kernel(SoftmaxGeometry geo, const T* x, T* y) {
  const SoftmaxTile tile(geo);
  float most = -INFINITY, sum = 0;
  if (tile.inside)
    for (int64_t k = threadIdx.y; k < geo.K; k += blockDim.y) most = fmaxf(most, load(x + tile.first + k * geo.inner));
  most = combine_rows(most, Larger{});
  if (tile.inside)
    for (int64_t k = threadIdx.y; k < geo.K; k += blockDim.y) sum += expf(load(x + tile.first + k * geo.inner) - most);
  sum = combine_rows(sum, Plus{});
  if (tile.inside)
    for (int64_t k = threadIdx.y; k < geo.K; k += blockDim.y) {
      const int64_t at = tile.first + k * geo.inner;
      store(y + at, expf(load(x + at) - most) / sum);
    }
}

// dx may be dy.
template <class T> __global__ void softmax_backward_kernel(SoftmaxGeometry geo, const T* y, const T* dy, T* dx) {
  const SoftmaxTile tile(geo);
  float dot = 0;
  if (tile.inside)
    for (int64_t k = threadIdx.y; k < geo.K; k += blockDim.y) {
      const int64_t at = tile.first + k * geo.inner;
      dot += load(y + at) * load(dy + at);
    }
  dot = combine_rows(dot, Plus{});
  if (tile.inside)
    for (int64_t k = threadIdx.y; k < geo.K; k += blockDim.y) {
      const int64_t at = tile.first + k * geo.inner;
      store(dx + at, load(y + at) * (load(dy + at) - dot));
    }
}

template <class Kernel, class... Pointers>
void launch_softmax(Kernel kernel, const SoftmaxGeometry& geo, Stream stream, Pointers... pointers) {
  if (geo.outer * geo.K * geo.inner == 0) return;
  const ColumnTile tile = column_tile(geo.inner);
  const int64_t tiles = (geo.inner + tile.columns - 1) / tile.columns;
  launch(kernel,
         {dim3(unsigned(geo.outer * tiles)), dim3(unsigned(tile.columns), unsigned(tile.rows)),
          size_t(kBlockThreads) * sizeof(float), stream},
         geo, pointers...);
}

template <class T> void softmax_forward(SoftmaxGeometry geo, const T* x, T* y, Stream stream) {
  launch_softmax(softmax_forward_kernel<T>, geo, stream, x, y);
}

template <class T> void softmax_backward(SoftmaxGeometry geo, const T* y, const T* dy, T* dx, Stream stream) {
  launch_softmax(softmax_backward_kernel<T>, geo, stream, y, dy, dx);
}

template decltype(softmax_forward<float>) softmax_forward<float>;
template decltype(softmax_forward<Bfloat16>) softmax_forward<Bfloat16>;
template decltype(softmax_backward<float>) softmax_backward<float>;
template decltype(softmax_backward<Bfloat16>) softmax_backward<Bfloat16>;

}  // namespace echodiff::cuda
