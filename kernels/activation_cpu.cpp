#include "kernels/activation.h"
#include "kernels/grain.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

void silu_forward(int64_t n, const float* x, float* y) {
  const SimdKernels& simd = simd_kernels();
  parallel_ranges(n, kElementGrain,
                  [&](int64_t begin, int64_t end) { simd.silu_forward(end - begin, x + begin, y + begin); });
}

void silu_backward(int64_t n, const float* x, const float* dy, float* dx) {
  const SimdKernels& simd = simd_kernels();
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) {
    simd.silu_backward(end - begin, x + begin, dy + begin, dx + begin);
  });
}

void relu_forward(int64_t n, const float* x, float* y) {
  const SimdKernels& simd = simd_kernels();
  parallel_ranges(n, kElementGrain,
                  [&](int64_t begin, int64_t end) { simd.relu_forward(end - begin, x + begin, y + begin); });
}

void relu_backward(int64_t n, const float* x, const float* dy, float* dx) {
  const SimdKernels& simd = simd_kernels();
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) {
    simd.relu_backward(end - begin, x + begin, dy + begin, dx + begin);
  });
}

}  // namespace echodiff::cpu
