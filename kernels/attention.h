// y = softmax(scale q k^T) v per (batch, head)      Vaswani et al. 2017 (arXiv:1706.03762), equation 1
// q (B, Lq, heads*d), k and v (B, Lk, heads*d), y as q; head h owns channels [h*d, (h+1)*d). The score matrix is never
// stored whole: forward and backward work on blocks of queries, and backward computes the probabilities again.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct AttentionGeometry {
  int64_t B, Lq, Lk, heads, d;
  double scale;
};

namespace reference {
template <class T>
void attention_forward(const AttentionGeometry&, const T* q, const T* k, const T* v, T* y);
template <class T>
void attention_backward(const AttentionGeometry&, const T* q, const T* k, const T* v, const T* dy, T* dq, T* dk, T* dv);
}  // namespace reference

namespace cpu {
void attention_forward(const AttentionGeometry&, const float* q, const float* k, const float* v, float* y);
void attention_backward(const AttentionGeometry&, const float* q, const float* k, const float* v, const float* dy, float* dq,
                        float* dk, float* dv);
inline void attention_forward(const AttentionGeometry& g, const double* q, const double* k, const double* v, double* y) {
  reference::attention_forward(g, q, k, v, y);
}
inline void attention_backward(const AttentionGeometry& g, const double* q, const double* k, const double* v, const double* dy,
                               double* dq, double* dk, double* dv) {
  reference::attention_backward(g, q, k, v, dy, dq, dk, dv);
}
}  // namespace cpu

namespace cuda {
constexpr int64_t kMaxAttentionWidth = 128;  // channels of a head; more throws Error

// lse (B, heads, Lq): log sum_j exp(scale q_i . k_j), kept for backward.
template <class T>
void attention_forward(const AttentionGeometry&, const T* q, const T* k, const T* v, T* y, float* lse, Stream);
// delta (B, heads, Lq) is scratch.
template <class T>
void attention_backward(const AttentionGeometry&, const T* q, const T* k, const T* v, const T* y, const float* lse, const T* dy,
                        float* delta, T* dq, T* dk, T* dv, Stream);
}  // namespace cuda
}  // namespace echodiff
