#include "kernels/layout.h"

#include "kernels/cuda/walk.h"

namespace echodiff::cuda {

template <class T> __global__ void strided_copy_kernel(int64_t n, DeviceWalk<2> walk, const T* from, T* to) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const DeviceWalk<2>::Offsets at = walk.offsets(i);
  to[at.of[1]] = from[at.of[0]];
}

template <class T> void strided_copy(const CopyGeometry& geo, const T* from, T* to, Stream stream) {
  const DeviceWalk<2> walk{StridedWalk<2>(geo)};
  launch_elements(strided_copy_kernel<T>, walk.count, stream, walk, from, to);
}

template <class T> __global__ void concat_rows_kernel(int64_t n, const T* const* parts, int64_t count, T* to) {
  const int64_t i = thread_index();
  if (i < n) to[i] = parts[i / count][i % count];
}

template <class T> void concat_rows(const T* const* parts, int64_t N, int64_t count, T* to, Stream stream) {
  launch_elements(concat_rows_kernel<T>, N * count, stream, parts, count, to);
}

template decltype(strided_copy<float>) strided_copy<float>;
template decltype(strided_copy<Bfloat16>) strided_copy<Bfloat16>;
template decltype(strided_copy<int64_t>) strided_copy<int64_t>;
template decltype(concat_rows<float>) concat_rows<float>;
template decltype(concat_rows<Bfloat16>) concat_rows<Bfloat16>;
template decltype(concat_rows<int64_t>) concat_rows<int64_t>;

}  // namespace echodiff::cuda
