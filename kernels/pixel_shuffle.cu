#include "kernels/pixel_shuffle.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

// Where element i of the large picture (N, H f, W f, C) lies in the small one (N, H, W, C f f).
__device__ int64_t place_in_small(const PixelShuffleGeometry& geo, int64_t i) {
  const int64_t c = i % geo.C, w = i / geo.C % (geo.W * geo.f), row = i / geo.C / (geo.W * geo.f);  // row of (N H f)
  const int64_t channel = (c * geo.f + row % geo.f) * geo.f + w % geo.f;
  return (row / geo.f * geo.W + w / geo.f) * geo.C * geo.f * geo.f + channel;
}

template <class T> __global__ void pixel_shuffle_kernel(int64_t n, PixelShuffleGeometry geo, const T* small, T* large) {
  const int64_t i = thread_index();
  if (i < n) large[i] = small[place_in_small(geo, i)];
}

template <class T>
__global__ void pixel_unshuffle_kernel(int64_t n, PixelShuffleGeometry geo, const T* large, T* small) {
  const int64_t i = thread_index();
  if (i < n) small[place_in_small(geo, i)] = large[i];
}

template <class T> void pixel_shuffle(PixelShuffleGeometry geo, const T* small, T* large, Stream stream) {
  launch_elements(pixel_shuffle_kernel<T>, geo.N * geo.H * geo.W * geo.C * geo.f * geo.f, stream, geo, small, large);
}
template <class T> void pixel_unshuffle(PixelShuffleGeometry geo, const T* large, T* small, Stream stream) {
  launch_elements(pixel_unshuffle_kernel<T>, geo.N * geo.H * geo.W * geo.C * geo.f * geo.f, stream, geo, large, small);
}

template decltype(pixel_shuffle<float>) pixel_shuffle<float>;
template decltype(pixel_shuffle<Bfloat16>) pixel_shuffle<Bfloat16>;
template decltype(pixel_unshuffle<float>) pixel_unshuffle<float>;
template decltype(pixel_unshuffle<Bfloat16>) pixel_unshuffle<Bfloat16>;

}  // namespace echodiff::cuda
