// Losses per element, as in torch.nn.functional; the op reduces them.
//   mse        (x - t)^2
//   l1         |x - t|, derivative 0 where they are equal
//   smooth_l1  (x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2
//   bce        w [(1 - t) x + (1 + (p - 1) t) log(1 + exp(-x))], p = pos_weight; stable for any finite x
//   cross      log sum_k exp(x_k) - x_class
#pragma once

#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"

namespace echodiff {

enum class Loss { mse, l1, smooth_l1 };

// The gradient that reaches an element: dy[i] when nothing was reduced, else factor dy[0].
template <class T> struct LossGradient {
  const T* dy;
  bool reduced;
  double factor;  // 1 / n for a mean, else 1
  ECHODIFF_HOST_DEVICE T at(int64_t i) const { return reduced ? T(factor * double(*dy)) : dy[i]; }
};

// weight (count) or null; pos_weight (K) or null, element i has entry i / inner % K.
template <class T> struct BceGeometry {
  int64_t count, K, inner;
  const T *weight, *pos_weight;
};

namespace reference {

template <class T> void loss_forward(Loss kind, double beta, int64_t n, const T* x, const T* target, T* y);
template <class T>
void loss_backward(Loss kind, double beta, int64_t n, const T* x, const T* target, LossGradient<T> dy, T* dx);

template <class T> void bce_forward(BceGeometry<T> geo, const T* x, const T* target, T* y);
template <class T> void bce_backward(BceGeometry<T> geo, const T* x, const T* target, LossGradient<T> dy, T* dx);

// x (N, K), classes (N) in [0, K) -> y (N)
template <class T> void cross_entropy_forward(int64_t N, int64_t K, const T* x, const int64_t* classes, T* y);
template <class T>
void cross_entropy_backward(int64_t N, int64_t K, const T* x, const int64_t* classes, LossGradient<T> dy, T* dx);

}  // namespace reference

namespace cuda {
void loss_forward(Loss kind, double beta, int64_t n, const float* x, const float* target, float* y, Stream);
void loss_backward(Loss kind, double beta, int64_t n, const float* x, const float* target, LossGradient<float> dy,
                   float* dx, Stream);
void bce_forward(BceGeometry<float> geo, const float* x, const float* target, float* y, Stream);
void bce_backward(BceGeometry<float> geo, const float* x, const float* target, LossGradient<float> dy, float* dx,
                  Stream);
void cross_entropy_forward(int64_t N, int64_t K, const float* x, const int64_t* classes, float* y, Stream);
void cross_entropy_backward(int64_t N, int64_t K, const float* x, const int64_t* classes, LossGradient<float> dy,
                            float* dx, Stream);
}  // namespace cuda
}  // namespace echodiff
