// y = softmax(scale q k^T) v per (batch, head)      Vaswani et al. 2017 (arXiv:1706.03762), equation 1
// The score matrix is never stored whole: forward and backward work on blocks of queries, and backward computes the
// probabilities again.
#pragma once

#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"

namespace echodiff {

// Queries (B, Lq), and M + Lk keys and values: first the memory that all of a batch share, then the batch's own tokens.
// A token is heads*d channels, of which head h owns [h*d, (h+1)*d); tokens of q lie q_stride elements apart, those of k
// and v kv_stride, so that the three may lie in one matrix (B, L, 3 heads*d).
struct AttentionGeometry {
  int64_t B, Lq, Lk, heads, d;
  double scale;
  int64_t M, q_stride, kv_stride;
  ECHODIFF_HOST_DEVICE int64_t width() const { return heads * d; }
  ECHODIFF_HOST_DEVICE int64_t keys() const { return M + Lk; }
};
template <class T> struct AttentionInputs {
  const T *q, *k, *v;
  const T* memory;  // (2, M, heads*d): keys, then values; null when M is 0
};
template <class T> struct AttentionGradients {
  T *dq, *dk, *dv;  // laid out as q, k and v
  T* dmemory;       // as memory, summed over the batch
};

// Key (part 0) or value (part 1) number j of batch b, head h.
template <class T>
ECHODIFF_HOST_DEVICE const T* key_at(const AttentionGeometry& g, const AttentionInputs<T>& in, int part, int64_t b,
                                     int64_t h, int64_t j) {
  if (j < g.M) return in.memory + (part * g.M + j) * g.width() + h * g.d;
  return (part == 0 ? in.k : in.v) + (b * g.Lk + j - g.M) * g.kv_stride + h * g.d;
}

// y, dy (B, Lq, heads*d)
namespace reference {
template <class T> void attention_forward(const AttentionGeometry&, const AttentionInputs<T>& in, T* y);
template <class T>
void attention_backward(const AttentionGeometry&, const AttentionInputs<T>& in, const T* dy,
                        const AttentionGradients<T>& out);
}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::attention_backward;
using reference::attention_forward;
// The last step of both attentions' backward: out (n) = the sum over the batch of parts (B, n), in order.
inline void sum_over_batch(int64_t B, int64_t n, const float* parts, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = 0;
    for (int64_t b = 0; b < B; ++b) out[i] += parts[b * n + i];
  }
}
void attention_forward(const AttentionGeometry&, const AttentionInputs<float>& in, float* y);
void attention_backward(const AttentionGeometry&, const AttentionInputs<float>& in, const float* dy,
                        const AttentionGradients<float>& out);
}  // namespace cpu

namespace cuda {
constexpr int64_t kMaxAttentionWidth = 128;  // channels of a head; more throws Error

// lse (B, heads, Lq): log sum_j exp(scale q_i . k_j), kept for backward.
template <class T>
void attention_forward(const AttentionGeometry&, const AttentionInputs<T>& in, T* y, float* lse, Stream);
int64_t attention_backward_scratch(const AttentionGeometry&);  // floats
template <class T>
void attention_backward(const AttentionGeometry&, const AttentionInputs<T>& in, const T* y, const float* lse,
                        const T* dy, const AttentionGradients<T>& out, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
