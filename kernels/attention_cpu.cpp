// A piece of work is one (batch, head), whose keys and values are gathered and packed once; blocks of queries follow.
#include "kernels/attention.h"

#include <algorithm>
#include <cstring>

#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kQueries = 48;  // a block of score rows; a multiple of every tile height

// (keys, d) of one head, row after row.
void gather(const AttentionGeometry& g, const AttentionInputs<float>& in, int part, int64_t b, int64_t h, float* rows) {
  for (int64_t j = 0; j < g.keys(); ++j)
    std::memcpy(rows + j * g.d, key_at(g, in, part, b, h, j), size_t(g.d) * sizeof(float));
}

// probabilities (rows, keys) of `rows` queries; keys packed as (d, keys).
void block_probabilities(const AttentionGeometry& g, int64_t rows, const float* q, const float* packed_keys,
                         float* probabilities) {
  gemm_packed(rows, g.keys(), g.d, {q, g.q_stride, 1}, packed_keys, probabilities, g.keys(), false);
  for (int64_t i = 0; i < rows; ++i) {
    float* row = probabilities + i * g.keys();
    simd_kernels().softmax_row(g.keys(), float(g.scale), 1.0f, row, row);
  }
}

}  // namespace

void attention_forward(const AttentionGeometry& g, const AttentionInputs<float>& in, float* y) {
  constexpr int64_t kPart = 1024;  // queries per piece: a single long sequence still keeps all threads busy
  const int64_t L = g.keys(), parts = (g.Lq + kPart - 1) / kPart;
  const int64_t keys_size = packed_size(L, g.d), values_size = packed_size(g.d, L);
  parallel_for(g.B * g.heads * parts, [&](int64_t piece) {
    const int64_t b = piece / parts / g.heads, h = piece / parts % g.heads, first = piece % parts * kPart;
    float* keys = scratch(Scratch::attention, keys_size + values_size + L * g.d + kQueries * L);
    float *values = keys + keys_size, *rows = values + values_size, *p = rows + L * g.d;
    gather(g, in, 0, b, h, rows);
    pack_columns(L, g.d, {rows, 1, g.d}, keys);
    gather(g, in, 1, b, h, rows);
    pack_columns(g.d, L, {rows, g.d, 1}, values);
    const int64_t last = std::min(g.Lq, first + kPart);
    for (int64_t i = first; i < last; i += kQueries) {
      const int64_t count = std::min(kQueries, last - i);
      block_probabilities(g, count, in.q + (b * g.Lq + i) * g.q_stride + h * g.d, keys, p);
      gemm_packed(count, g.d, L, {p, L, 1}, values, y + (b * g.Lq + i) * g.width() + h * g.d, g.width(), false);
    }
  });
}

// The blocks of queries of one piece follow each other, so dk and dv are summed in a fixed order.
void attention_backward(const AttentionGeometry& g, const AttentionInputs<float>& in, const float* dy,
                        const AttentionGradients<float>& out) {
  const SimdKernels& simd = simd_kernels();
  const int64_t L = g.keys(), d = g.d, width = g.width(), across = packed_size(L, d), along = packed_size(d, L);
  float* dmemory = scratch(Scratch::sums, g.B * 2 * g.M * width);  // per batch
  parallel_for(g.B * g.heads, [&](int64_t piece) {
    const int64_t b = piece / g.heads, h = piece % g.heads;
    float* keys = scratch(Scratch::attention, 2 * across + along + 3 * L * d + 2 * kQueries * L);
    float *values = keys + across, *key_rows = values + across, *rows = key_rows + along, *dk = rows + L * d,
          *dv = dk + L * d, *p = dv + L * d, *ds = p + kQueries * L;
    gather(g, in, 1, b, h, rows);
    pack_columns(L, d, {rows, 1, d}, values);
    gather(g, in, 0, b, h, rows);
    pack_columns(L, d, {rows, 1, d}, keys);
    pack_columns(d, L, {rows, d, 1}, key_rows);
    for (int64_t i = 0; i < g.Lq; i += kQueries) {
      const int64_t count = std::min(kQueries, g.Lq - i);
      const float* q = in.q + (b * g.Lq + i) * g.q_stride + h * d;
      const float* gradient = dy + (b * g.Lq + i) * width + h * d;
      block_probabilities(g, count, q, keys, p);
      gemm(L, d, count, {p, 1, L}, {gradient, width, 1}, dv, d, i > 0);
      gemm_packed(count, L, d, {gradient, width, 1}, values, ds, L, false);
      for (int64_t r = 0; r < count; ++r)
        simd.softmax_row_backward(L, p + r * L, ds + r * L, 1.0f, float(g.scale), ds + r * L);
      gemm_packed(count, d, L, {ds, L, 1}, key_rows, out.dq + (b * g.Lq + i) * g.q_stride + h * d, g.q_stride, false);
      gemm(L, d, count, {ds, 1, L}, {q, g.q_stride, 1}, dk, d, i > 0);
    }
    for (int part : {0, 1}) {
      const float* from = part == 0 ? dk : dv;
      float* memory = dmemory + (b * 2 + part) * g.M * width + h * d;
      float* tokens = (part == 0 ? out.dk : out.dv) + b * g.Lk * g.kv_stride + h * d;
      for (int64_t j = 0; j < L; ++j)
        std::memcpy(j < g.M ? memory + j * width : tokens + (j - g.M) * g.kv_stride, from + j * d,
                    size_t(d) * sizeof(float));
    }
  });
  sum_over_batch(g.B, 2 * g.M * width, dmemory, out.dmemory);
}

}  // namespace echodiff::cpu
