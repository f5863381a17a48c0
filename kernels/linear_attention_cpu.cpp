// One piece of work per (batch, head). The softmax over tokens runs down the columns of the head.
#include <algorithm>
#include <cmath>

#include "kernels/gemm.h"
#include "kernels/linear_attention.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

void linear_attention_forward(const LinearAttentionGeometry& g, const float* q, const float* k, const float* v, float* qs, float* ks,
                              float* context, float* y) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = g.heads * g.d;
  const float scale = float(1 / std::sqrt(double(g.d)));
  parallel_for(g.B * g.heads, [&](int64_t piece) {
    const int64_t b = piece / g.heads, h = piece % g.heads;
    const int64_t queries = b * g.Lq * width + h * g.d, keys = b * g.Lk * width + h * g.d;
    for (int64_t i = 0; i < g.Lq; ++i) {
      float* row = qs + queries + i * width;
      simd.softmax_row(g.d, q + queries + i * width, row);
      for (int64_t c = 0; c < g.d; ++c) row[c] *= scale;
    }
    simd.column_softmax(g.Lk, g.d, width, k + keys, ks + keys);
    float* C = context + piece * g.d * g.d;
    gemm(g.d, g.d, g.Lk, {ks + keys, 1, width}, {v + keys, width, 1}, C, g.d, false);
    gemm(g.Lq, g.d, g.d, {qs + queries, width, 1}, {C, g.d, 1}, y + queries, width, false);
  });
}

void linear_attention_backward(const LinearAttentionGeometry& g, const float* qs, const float* ks, const float* v, const float* context,
                               const float* dy, float* dq, float* dk, float* dv) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = g.heads * g.d;
  const float root = std::sqrt(float(g.d));
  parallel_for(g.B * g.heads, [&](int64_t piece) {
    const int64_t b = piece / g.heads, h = piece % g.heads;
    const int64_t queries = b * g.Lq * width + h * g.d, keys = b * g.Lk * width + h * g.d;
    const float* C = context + piece * g.d * g.d;
    gemm(g.Lq, g.d, g.d, {dy + queries, width, 1}, {C, 1, g.d}, dq + queries, width, false);
    for (int64_t i = 0; i < g.Lq; ++i) {
      const float* y = qs + queries + i * width;
      float* row = dq + queries + i * width;
      const float mean = simd.dot(g.d, y, row) * root;  // / scale
      for (int64_t c = 0; c < g.d; ++c) row[c] = y[c] * (row[c] - mean);
    }
    float* gradient = scratch(Slot::scores, g.d * g.d);
    gemm(g.d, g.d, g.Lq, {qs + queries, 1, width}, {dy + queries, width, 1}, gradient, g.d, false);
    gemm(g.Lk, g.d, g.d, {v + keys, width, 1}, {gradient, 1, g.d}, dk + keys, width, false);
    gemm(g.Lk, g.d, g.d, {ks + keys, width, 1}, {gradient, g.d, 1}, dv + keys, width, false);
    float* mean = scratch(Slot::rows, g.d);
    std::fill_n(mean, g.d, 0.0f);
    for (int64_t j = 0; j < g.Lk; ++j)
      for (int64_t c = 0; c < g.d; ++c) mean[c] += ks[keys + j * width + c] * dk[keys + j * width + c];
    for (int64_t j = 0; j < g.Lk; ++j)
      for (int64_t c = 0; c < g.d; ++c) {
        float& at = dk[keys + j * width + c];
        at = ks[keys + j * width + c] * (at - mean[c]);
      }
  });
}

}  // namespace echodiff::cpu
