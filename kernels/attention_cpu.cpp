#include <algorithm>

#include "kernels/attention.h"
#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kQueries = 48;  // a block of score rows; a multiple of every tile height

// probabilities (rows, Lk) of `rows` queries.
void block_probabilities(const AttentionGeometry& g, int64_t rows, const float* q, const float* k, float* probabilities) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = g.heads * g.d;
  gemm(rows, g.Lk, g.d, {q, width, 1}, {k, 1, width}, probabilities, g.Lk, false);
  for (int64_t i = 0; i < rows; ++i) {
    float* row = probabilities + i * g.Lk;
    for (int64_t j = 0; j < g.Lk; ++j) row[j] *= float(g.scale);
    simd.softmax_row(g.Lk, row, row);
  }
}

}  // namespace

void attention_forward(const AttentionGeometry& g, const float* q, const float* k, const float* v, float* y) {
  const int64_t width = g.heads * g.d, blocks = (g.Lq + kQueries - 1) / kQueries;
  parallel_for(g.B * g.heads * blocks, [&](int64_t piece) {
    const int64_t b = piece / blocks / g.heads, h = piece / blocks % g.heads, i0 = piece % blocks * kQueries;
    const int64_t rows = std::min(kQueries, g.Lq - i0);
    const int64_t at = (b * g.Lq + i0) * width + h * g.d, keys = b * g.Lk * width + h * g.d;
    float* p = scratch(Slot::probabilities, kQueries * g.Lk);
    block_probabilities(g, rows, q + at, k + keys, p);
    gemm(rows, g.d, g.Lk, {p, g.Lk, 1}, {v + keys, width, 1}, y + at, width, false);
  });
}

// One piece per (batch, head): its blocks of queries follow each other, so dk and dv are summed in a fixed order.
void attention_backward(const AttentionGeometry& g, const float* q, const float* k, const float* v, const float* dy, float* dq,
                        float* dk, float* dv) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = g.heads * g.d;
  parallel_for(g.B * g.heads, [&](int64_t piece) {
    const int64_t b = piece / g.heads, h = piece % g.heads, keys = b * g.Lk * width + h * g.d;
    for (int64_t i0 = 0; i0 < g.Lq; i0 += kQueries) {
      const int64_t rows = std::min(kQueries, g.Lq - i0), at = (b * g.Lq + i0) * width + h * g.d;
      float* p = scratch(Slot::probabilities, kQueries * g.Lk);
      float* ds = scratch(Slot::scores, kQueries * g.Lk);
      block_probabilities(g, rows, q + at, k + keys, p);
      gemm(g.Lk, g.d, rows, {p, 1, g.Lk}, {dy + at, width, 1}, dv + keys, width, i0 > 0);
      gemm(rows, g.Lk, g.d, {dy + at, width, 1}, {v + keys, 1, width}, ds, g.Lk, false);
      for (int64_t i = 0; i < rows; ++i) {
        const float mean = simd.dot(g.Lk, p + i * g.Lk, ds + i * g.Lk);
        for (int64_t j = i * g.Lk; j < (i + 1) * g.Lk; ++j) ds[j] = p[j] * (ds[j] - mean) * float(g.scale);
      }
      gemm(rows, g.d, g.Lk, {ds, g.Lk, 1}, {k + keys, width, 1}, dq + at, width, false);
      gemm(g.Lk, g.d, rows, {ds, 1, g.Lk}, {q + at, width, 1}, dk + keys, width, i0 > 0);
    }
  });
}

}  // namespace echodiff::cpu
