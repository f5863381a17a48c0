#include "kernels/activation.h"
#include "kernels/grain.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

void activation_forward(Activation kind, double slope, int64_t n, const float* x, float* y) {
  const SimdKernels& simd = simd_kernels();
  const auto loop = kind == Activation::silu   ? simd.silu_forward
                    : kind == Activation::relu ? simd.relu_forward
                                               : nullptr;
  if (loop == nullptr) return reference::activation_forward(kind, slope, n, x, y);
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) { loop(end - begin, x + begin, y + begin); });
}

void activation_backward(Activation kind, double slope, int64_t n, const float* x, const float* dy, float* dx) {
  const SimdKernels& simd = simd_kernels();
  const auto loop = kind == Activation::silu   ? simd.silu_backward
                    : kind == Activation::relu ? simd.relu_backward
                                               : nullptr;
  if (loop == nullptr) return reference::activation_backward(kind, slope, n, x, dy, dx);
  parallel_ranges(n, kElementGrain,
                  [&](int64_t begin, int64_t end) { loop(end - begin, x + begin, dy + begin, dx + begin); });
}

}  // namespace echodiff::cpu
