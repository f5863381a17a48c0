// lucidrains' linear attention (Shen et al. 2018, arXiv:1812.01243): per (batch, head), with qs = softmax over d of q,
// times d^-0.5, and ks = softmax over the Lk tokens of k:   context = ks^T v (d, d),   y = qs context.
// q (B, Lq, heads*d), k and v (B, Lk, heads*d), y as q. Backward gets ks, qs and the context as forward left them.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct LinearAttentionGeometry {
  int64_t B, Lq, Lk, heads, d;
};

namespace reference {
template <class T>
void linear_attention_forward(const LinearAttentionGeometry&, const T* q, const T* k, const T* v, T* qs, T* ks, T* context, T* y);
template <class T>
void linear_attention_backward(const LinearAttentionGeometry&, const T* qs, const T* ks, const T* v, const T* context, const T* dy, T* dq,
                               T* dk, T* dv);
}  // namespace reference

namespace cpu {
void linear_attention_forward(const LinearAttentionGeometry&, const float* q, const float* k, const float* v, float* qs, float* ks,
                              float* context, float* y);
void linear_attention_backward(const LinearAttentionGeometry&, const float* qs, const float* ks, const float* v, const float* context,
                               const float* dy, float* dq, float* dk, float* dv);
inline void linear_attention_forward(const LinearAttentionGeometry& g, const double* q, const double* k, const double* v, double* qs,
                                     double* ks, double* context, double* y) {
  reference::linear_attention_forward(g, q, k, v, qs, ks, context, y);
}
inline void linear_attention_backward(const LinearAttentionGeometry& g, const double* qs, const double* ks, const double* v,
                                      const double* context, const double* dy, double* dq, double* dk, double* dv) {
  reference::linear_attention_backward(g, qs, ks, v, context, dy, dq, dk, dv);
}
}  // namespace cpu

namespace cuda {
int64_t linear_attention_scratch(const LinearAttentionGeometry&);  // floats, for forward and backward
template <class T>
void linear_attention_forward(const LinearAttentionGeometry&, const T* q, const T* k, const T* v, T* qs, T* ks, float* context, T* y,
                              float* scratch, Stream);
template <class T>
void linear_attention_backward(const LinearAttentionGeometry&, const T* qs, const T* ks, const T* v, const float* context,
                               const T* dy, T* dq, T* dk, T* dv, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
