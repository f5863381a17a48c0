#include "kernels/dropout.h"

#include "kernels/cuda/device.h"
#include "kernels/philox.h"

namespace echodiff::cuda {

// One thread per four elements, which share one block of random words.
template <class T> __global__ void dropout_kernel(int64_t blocks, DropoutGeometry geo, float scale, const T* x, T* y) {
  const int64_t block = thread_index();
  if (block >= blocks) return;
  const PhiloxBlock words = philox_block(geo.seed, geo.stream, 0, uint64_t(block));
  for (int64_t i = 4 * block; i < 4 * block + 4 && i < geo.count; ++i)
    store(y + i, double(words[size_t(i % 4)]) * 0x1p-32 < geo.p ? 0.0f : load(x + i) * scale);
}

template <class T> void dropout(DropoutGeometry geo, const T* x, T* y, Stream stream) {
  const float scale = geo.p < 1 ? float(1 / (1 - geo.p)) : 0.0f;
  launch_elements(dropout_kernel<T>, (geo.count + 3) / 4, stream, geo, scale, x, y);
}

template decltype(dropout<float>) dropout<float>;
template decltype(dropout<Bfloat16>) dropout<Bfloat16>;

}  // namespace echodiff::cuda
