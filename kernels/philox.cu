#include "kernels/philox.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

// One thread per four numbers, which share one block of random words.
__global__ void fill_normal_kernel(int64_t threads, int64_t count, uint64_t seed, const int64_t* streams,
                                   const int64_t* steps, float* out) {
  const int64_t i = thread_index();
  if (i >= threads) return;
  const int64_t blocks = (count + 3) / 4, row = i / blocks, first = i % blocks * 4;
  const PhiloxBlock words = philox_block(seed, uint64_t(streams[row]), uint64_t(steps[row]), uint64_t(i % blocks));
  for (int64_t pair = 0; pair < 2; ++pair) {
    const std::array<double, 2> z = normal_pair(words[size_t(2 * pair)], words[size_t(2 * pair + 1)]);
    for (int64_t j = 0; j < 2; ++j)
      if (first + 2 * pair + j < count) out[row * count + first + 2 * pair + j] = float(z[size_t(j)]);
  }
}

void fill_normal(int64_t rows, int64_t count, uint64_t seed, const int64_t* streams, const int64_t* steps, float* out,
                 Stream stream) {
  launch_elements(fill_normal_kernel, rows * ((count + 3) / 4), stream, count, seed, streams, steps, out);
}

}  // namespace echodiff::cuda
