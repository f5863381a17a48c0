// y = (x - mean_c) / sqrt(var_c + eps) * weight_c + bias_c                    Ioffe & Szegedy 2015 (arXiv:1502.03167)
// Training normalises with the batch's biased variance; evaluation with running statistics, which training moves by
// `momentum` towards the batch's mean and unbiased variance, as in torch.nn.BatchNorm2d. Statistics in double: data
// with a large offset keeps its digits.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct BatchNormGeometry {
  int64_t rows, C;  // x is (rows, C) in memory, rows = N H W
};

namespace reference {

// mean, var (C), biased
template <class T> void batch_norm_statistics(BatchNormGeometry geo, const T* x, double* mean, double* var);

// After a batch: running += momentum (batch - running), the variance unbiased; rstd (C), which holds the batch's
// variance, becomes 1 / sqrt(variance + eps).
template <class T>
void batch_norm_track(BatchNormGeometry geo, double momentum, double eps, const double* mean, double* rstd,
                      T* running_mean, T* running_var);

// mean and rstd from the running statistics.
template <class T>
void batch_norm_recall(int64_t C, double eps, const T* running_mean, const T* running_var, double* mean, double* rstd);

template <class T>
void batch_norm_forward(BatchNormGeometry geo, const T* x, const T* weight, const T* bias, const double* mean,
                        const double* rstd, T* y);

// training: mean and rstd are functions of x, and dx goes through them. Each of dx, dweight, dbias may be null.
template <class T>
void batch_norm_backward(BatchNormGeometry geo, bool training, const T* x, const T* weight, const T* dy,
                         const double* mean, const double* rstd, T* dx, T* dweight, T* dbias);

// y = relu(batch_norm_forward(x) + residual); residual as x, or null. Its backward is relu's, then batch_norm_backward.
template <class T>
void batch_norm_relu_forward(BatchNormGeometry geo, const T* x, const T* weight, const T* bias, const double* mean,
                             const double* rstd, const T* residual, T* y);

}  // namespace reference

// The same; in float with sums of 64 rows each, added in double.
namespace cpu {
// In double, the reference.
using reference::batch_norm_backward;
using reference::batch_norm_forward;
using reference::batch_norm_relu_forward;
using reference::batch_norm_statistics;
void batch_norm_statistics(BatchNormGeometry geo, const float* x, double* mean, double* var);
void batch_norm_forward(BatchNormGeometry geo, const float* x, const float* weight, const float* bias,
                        const double* mean, const double* rstd, float* y);
void batch_norm_backward(BatchNormGeometry geo, bool training, const float* x, const float* weight, const float* dy,
                         const double* mean, const double* rstd, float* dx, float* dweight, float* dbias);
void batch_norm_relu_forward(BatchNormGeometry geo, const float* x, const float* weight, const float* bias,
                             const double* mean, const double* rstd, const float* residual, float* y);
}  // namespace cpu

namespace cuda {
int64_t batch_norm_scratch(BatchNormGeometry geo);  // doubles, for statistics and backward
template <class T>
void batch_norm_statistics(BatchNormGeometry geo, const T* x, double* mean, double* var, double* scratch, Stream);
void batch_norm_track(BatchNormGeometry geo, double momentum, double eps, const double* mean, double* rstd,
                      float* running_mean, float* running_var, Stream);
void batch_norm_recall(int64_t C, double eps, const float* running_mean, const float* running_var, double* mean,
                       double* rstd, Stream);
template <class T>
void batch_norm_forward(BatchNormGeometry geo, const T* x, const float* weight, const float* bias, const double* mean,
                        const double* rstd, T* y, Stream);
template <class T>
void batch_norm_relu_forward(BatchNormGeometry geo, const T* x, const float* weight, const float* bias,
                             const double* mean, const double* rstd, const T* residual, T* y, Stream);
template <class T>
void batch_norm_backward(BatchNormGeometry geo, bool training, const T* x, const float* weight, const T* dy,
                         const double* mean, const double* rstd, T* dx, float* dweight, float* dbias, double* scratch,
                         Stream);
}  // namespace cuda
}  // namespace echodiff
