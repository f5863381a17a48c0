#include "kernels/cast.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

template <class From, class To> __global__ void cast_kernel(int64_t n, const From* x, To* y) {
  const int64_t i = thread_index();
  if (i < n) store(y + i, load(x + i));
}

void cast(int64_t n, const float* x, Bfloat16* y, Stream stream) {
  launch_elements(cast_kernel<float, Bfloat16>, n, stream, x, y);
}
void cast(int64_t n, const Bfloat16* x, float* y, Stream stream) {
  launch_elements(cast_kernel<Bfloat16, float>, n, stream, x, y);
}

}  // namespace echodiff::cuda
