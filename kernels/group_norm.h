// y = (x - mean_g) / sqrt(var_g + eps) * weight + bias      Wu & He 2018 (arXiv:1803.08494)
// Statistics over the C/G channels and all pixels of each (sample, group); biased variance and eps as in
// torch.nn.GroupNorm.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct GroupNormGeometry {
  int64_t N, C, pixels, G;
};

namespace reference {
// mean, rstd (N, G)
template <class T>
void group_norm_forward(const GroupNormGeometry&, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean,
                        T* rstd);
template <class T>
void group_norm_backward(const GroupNormGeometry&, const T* x, const T* weight, const T* mean, const T* rstd,
                         const T* dy, T* dx, T* dweight, T* dbias);
// y = silu((1 + s) group_norm(x) + shift); modulation (N, 2C) = s | shift, or null for y = silu(group_norm(x)).
template <class T>
void group_norm_silu_forward(const GroupNormGeometry&, const T* x, const T* weight, const T* bias, const T* modulation,
                             double eps, T* y, T* mean, T* rstd);
template <class T>
void group_norm_silu_backward(const GroupNormGeometry&, const T* x, const T* weight, const T* bias, const T* modulation,
                              const T* mean, const T* rstd, const T* dy, T* dx, T* dweight, T* dbias, T* dmodulation);
}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::group_norm_backward;
using reference::group_norm_forward;
using reference::group_norm_silu_backward;
using reference::group_norm_silu_forward;
void group_norm_forward(const GroupNormGeometry&, const float* x, const float* weight, const float* bias, double eps,
                        float* y, float* mean, float* rstd);
void group_norm_backward(const GroupNormGeometry&, const float* x, const float* weight, const float* mean,
                         const float* rstd, const float* dy, float* dx, float* dweight, float* dbias);
void group_norm_silu_forward(const GroupNormGeometry&, const float* x, const float* weight, const float* bias,
                             const float* modulation, double eps, float* y, float* mean, float* rstd);
void group_norm_silu_backward(const GroupNormGeometry&, const float* x, const float* weight, const float* bias,
                              const float* modulation, const float* mean, const float* rstd, const float* dy, float* dx,
                              float* dweight, float* dbias, float* dmodulation);
}  // namespace cpu

namespace cuda {
template <class T>
void group_norm_forward(const GroupNormGeometry&, const T* x, const float* weight, const float* bias, double eps, T* y,
                        float* mean, float* rstd, Stream);
int64_t group_norm_backward_scratch(const GroupNormGeometry&);  // floats, for both backward passes
// dx may be dy
template <class T>
void group_norm_backward(const GroupNormGeometry&, const T* x, const float* weight, const float* mean,
                         const float* rstd, const T* dy, T* dx, float* dweight, float* dbias, float* scratch, Stream);
template <class T>
void group_norm_silu_forward(const GroupNormGeometry&, const T* x, const float* weight, const float* bias,
                             const T* modulation, double eps, T* y, float* mean, float* rstd, Stream);
template <class T>
void group_norm_silu_backward(const GroupNormGeometry&, const T* x, const float* weight, const float* bias,
                              const T* modulation, const float* mean, const float* rstd, const T* dy, T* dx,
                              float* dweight, float* dbias, T* dmodulation, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
