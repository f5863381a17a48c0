// lucidrains' linear attention (Shen et al. 2018, arXiv:1812.01243): per (batch, head), with qs = softmax over d of q,
// times scale, and ks = softmax over the tokens of k:   context = ks^T v (d, d),   y = qs context.
// Operands as in attention.h. Forward leaves for backward: largest (B, heads, d), the largest key per channel,
// total (B, heads, d), the sum of exp(key - largest), and context (B, heads, d, d).
#pragma once

#include "kernels/attention.h"
#include "kernels/cuda/stream.h"

namespace echodiff {

template <class T> struct LinearAttentionState { T *largest, *total, *context; };

namespace reference {
template <class T>
void linear_attention_forward(const AttentionGeometry&, const AttentionInputs<T>& in,
                              const LinearAttentionState<T>& state, T* y);
template <class T>
void linear_attention_backward(const AttentionGeometry&, const AttentionInputs<T>& in,
                               const LinearAttentionState<const T>& state, const T* dy,
                               const AttentionGradients<T>& out);
}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::linear_attention_backward;
using reference::linear_attention_forward;
void linear_attention_forward(const AttentionGeometry&, const AttentionInputs<float>& in,
                              const LinearAttentionState<float>& state, float* y);
void linear_attention_backward(const AttentionGeometry&, const AttentionInputs<float>& in,
                               const LinearAttentionState<const float>& state, const float* dy,
                               const AttentionGradients<float>& out);
}  // namespace cpu

namespace cuda {
int64_t linear_attention_scratch(const AttentionGeometry&);  // floats, for forward and backward
template <class T>
void linear_attention_forward(const AttentionGeometry&, const AttentionInputs<T>& in,
                              const LinearAttentionState<float>& state, T* y, float* scratch, Stream);
template <class T>
void linear_attention_backward(const AttentionGeometry&, const AttentionInputs<T>& in,
                               const LinearAttentionState<const float>& state, const T* dy,
                               const AttentionGradients<T>& out, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
