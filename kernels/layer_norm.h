// y = (x - mean) / sqrt(var + eps) * weight + bias over each row of D elements       Ba et al. 2016 (arXiv:1607.06450)
// Biased variance, eps inside the root, as in torch.nn.LayerNorm. Statistics in double.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct LayerNormGeometry {
  int64_t rows, D;
};

namespace reference {

// weight, bias (D) or null. mean, rstd (rows) are kept for backward.
template <class T>
void layer_norm_forward(LayerNormGeometry geo, const T* x, const T* weight, const T* bias, double eps, T* y,
                        double* mean, double* rstd);

// Each of dx (rows, D), dweight and dbias (D) may be null: not wanted.
template <class T>
void layer_norm_backward(LayerNormGeometry geo, const T* x, const T* weight, const T* dy, const double* mean,
                         const double* rstd, T* dx, T* dweight, T* dbias);

}  // namespace reference

namespace cuda {
template <class T>
void layer_norm_forward(LayerNormGeometry geo, const T* x, const float* weight, const float* bias, double eps, T* y,
                        double* mean, double* rstd, Stream);
int64_t layer_norm_backward_scratch(LayerNormGeometry geo);  // doubles
template <class T>
void layer_norm_backward(LayerNormGeometry geo, const T* x, const float* weight, const T* dy, const double* mean,
                         const double* rstd, T* dx, float* dweight, float* dbias, double* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
