#include "kernels/layout.h"

#include "kernels/cuda/walk.h"

namespace echodiff::cuda {

template <class T>
__global__ void strided_copy_kernel(int64_t n, DeviceWalk<2> walk, const T* from, T* to) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const DeviceWalk<2>::Offsets at = walk.offsets(i);
  to[at.of[1]] = from[at.of[0]];
}

template <class T>
void strided_copy(const CopyGeometry& geo, const T* from, T* to, Stream stream) {
  const DeviceWalk<2> walk{StridedWalk<2>(geo)};
  launch_elements(strided_copy_kernel<T>, walk.count, stream, walk, from, to);
}

template void strided_copy(const CopyGeometry&, const float*, float*, Stream);
template void strided_copy(const CopyGeometry&, const Bfloat16*, Bfloat16*, Stream);
template void strided_copy(const CopyGeometry&, const int64_t*, int64_t*, Stream);

}  // namespace echodiff::cuda
