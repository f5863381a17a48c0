// Tokens are cut into chunks; a piece of work is one chunk of one batch with all its heads, so that memory is read in
// long lines. What a chunk adds to the sums over tokens is kept apart and added in order. The softmaxes are computed
// where they are used, in forward and again in backward, and never stored whole.
#include "kernels/linear_attention.h"

#include <algorithm>
#include <cmath>

#include "kernels/gemm.h"
#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kChunk = 192;  // tokens; a multiple of every tile height

int64_t chunks_of(int64_t tokens) { return (tokens + kChunk - 1) / kChunk; }

// Chunk number i of the keys: those from number `begin` on. The memory's chunks come first.
struct KeyChunk {
  int64_t begin, count, stride;
};
int64_t key_chunks(const AttentionGeometry& g) { return chunks_of(g.M) + chunks_of(g.Lk); }
KeyChunk key_chunk(const AttentionGeometry& g, int64_t i) {
  const int64_t of_memory = chunks_of(g.M);
  if (i < of_memory) return {i * kChunk, std::min(kChunk, g.M - i * kChunk), g.width()};
  const int64_t begin = g.M + (i - of_memory) * kChunk;
  return {begin, std::min(kChunk, g.keys() - begin), g.kv_stride};
}

// qs (count, heads, d) = scale softmax of `count` queries, token by token: a token's heads are one long line of memory
void query_softmax(const AttentionGeometry& g, int64_t count, const float* q, float* qs) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t h = 0; h < g.heads; ++h)
      simd_kernels().softmax_row(g.d, 1.0f, float(g.scale), q + i * g.q_stride + h * g.d, qs + i * g.width() + h * g.d);
}

// What one chunk of keys adds: the softmaxes' largest (heads, d) and total (heads, d), and C (heads, d, d).
struct Part {
  float *largest, *total, *C;
  static int64_t size(const AttentionGeometry& g) { return 2 * g.width() + g.width() * g.d; }
  Part(const AttentionGeometry& g, float* memory)
      : largest(memory), total(memory + g.width()), C(memory + 2 * g.width()) {}
};

// One chunk's own softmax and context. block: working memory for (count, heads, d) twice.
void chunk_context(const AttentionGeometry& g, const AttentionInputs<float>& in, int64_t b, const KeyChunk& chunk,
                   const float* ones, float* block, const Part& part) {
  const SimdKernels& simd = simd_kernels();
  const int64_t width = g.width();
  const float* k = key_at(g, in, 0, b, 0, chunk.begin);
  float* values = block + chunk.count * width;
  std::copy_n(k, width, part.largest);
  std::fill_n(part.total, width, 0.0f);
  simd.column_max(chunk.count, width, chunk.stride, k, part.largest);
  simd.column_exp(chunk.count, width, chunk.stride, k, part.largest, ones, block);
  simd.column_sums(chunk.count, width, block, part.total);
  simd.copy_rows(chunk.count, width, key_at(g, in, 1, b, 0, chunk.begin), chunk.stride, values, width);
  for (int64_t h = 0; h < g.heads; ++h)
    gemm(g.d, g.d, chunk.count, {block + h * g.d, 1, width}, {values + h * g.d, width, 1}, part.C + h * g.d * g.d, g.d,
         false);
}

// Chunks were scaled by their own largest keys: brings them to the largest of all, adds them and divides by the total.
// Head h: largest (d), total (d), C (d, d).
void join_contexts(const AttentionGeometry& g, int64_t chunks, int64_t h, float* parts, float* largest, float* total,
                   float* C) {
  const int64_t d = g.d;
  const auto part = [&](int64_t i) { return Part(g, parts + i * Part::size(g)); };
  std::copy_n(part(0).largest + h * d, d, largest);
  for (int64_t i = 1; i < chunks; ++i)
    for (int64_t c = 0; c < d; ++c) largest[c] = std::max(largest[c], part(i).largest[h * d + c]);
  std::fill_n(total, d, 0.0f);
  std::fill_n(C, d * d, 0.0f);
  for (int64_t i = 0; i < chunks; ++i) {
    const float* part_C = part(i).C + h * d * d;
    for (int64_t c = 0; c < d; ++c) {
      const float factor = std::exp(part(i).largest[h * d + c] - largest[c]);
      total[c] += factor * part(i).total[h * d + c];
      for (int64_t e = 0; e < d; ++e) C[c * d + e] += factor * part_C[c * d + e];
    }
  }
  for (int64_t c = 0; c < d; ++c)
    for (int64_t e = 0; e < d; ++e) C[c * d + e] /= total[c];
}

// Of one head: the gradients (d, d) of its context that the chunks of queries found, summed into the first; rows: m (d)
// of the reference, then 1 / total (d); packed: gradient^T, then gradient.
void join_gradients(int64_t d, int64_t chunks, const float* context, const float* total, float* gradients, float* rows,
                    float* packed) {
  for (int64_t i = 1; i < chunks; ++i)
    for (int64_t c = 0; c < d * d; ++c) gradients[c] += gradients[i * d * d + c];
  for (int64_t c = 0; c < d; ++c) {
    rows[c] = simd_kernels().dot(d, gradients + c * d, context + c * d);
    rows[d + c] = 1 / total[c];
  }
  pack_columns(d, d, {gradients, 1, d}, packed);
  pack_columns(d, d, {gradients, d, 1}, packed + packed_size(d, d));
}

}  // namespace

void linear_attention_forward(const AttentionGeometry& g, const AttentionInputs<float>& in,
                              const LinearAttentionState<float>& state, float* y) {
  const int64_t d = g.d, heads = g.heads, width = g.width(), square = packed_size(d, d);
  const int64_t key_parts = key_chunks(g), query_parts = chunks_of(g.Lq);
  float* parts = scratch(Scratch::sums, g.B * key_parts * Part::size(g));  // [b][chunk]
  parallel_for(g.B * key_parts, [&](int64_t piece) {
    float* ones = scratch(Scratch::attention, width + 2 * kChunk * width);
    std::fill_n(ones, width, 1.0f);
    chunk_context(g, in, piece / key_parts, key_chunk(g, piece % key_parts), ones, ones + width,
                  Part(g, parts + piece * Part::size(g)));
  });
  float* packed = scratch(Scratch::packed_a, g.B * heads * square);
  parallel_for(g.B * heads, [&](int64_t i) {
    float* C = state.context + i * d * d;
    join_contexts(g, key_parts, i % heads, parts + i / heads * key_parts * Part::size(g), state.largest + i * d,
                  state.total + i * d, C);
    pack_columns(d, d, {C, d, 1}, packed + i * square);
  });
  parallel_for(g.B * query_parts, [&](int64_t piece) {
    const int64_t b = piece / query_parts, i = piece % query_parts * kChunk, count = std::min(kChunk, g.Lq - i);
    float* block = scratch(Scratch::attention, kChunk * width);
    query_softmax(g, count, in.q + (b * g.Lq + i) * g.q_stride, block);
    for (int64_t h = 0; h < heads; ++h)
      gemm_packed(count, d, d, {block + h * d, width, 1}, packed + (b * heads + h) * square,
                  y + (b * g.Lq + i) * width + h * d, width, false);
  });
}

void linear_attention_backward(const AttentionGeometry& g, const AttentionInputs<float>& in,
                               const LinearAttentionState<const float>& state, const float* dy,
                               const AttentionGradients<float>& out) {
  const SimdKernels& simd = simd_kernels();
  const int64_t d = g.d, heads = g.heads, width = g.width(), square = packed_size(d, d);
  const int64_t key_parts = key_chunks(g), query_parts = chunks_of(g.Lq);
  // packed, per head: context^T; later gradient^T, gradient
  float* packed = scratch(Scratch::packed_a, g.B * heads * 2 * square);
  parallel_for(g.B * heads, [&](int64_t i) {
    pack_columns(d, d, {state.context + i * d * d, 1, d}, packed + i * 2 * square);
  });
  const int64_t gradients_size = g.B * heads * query_parts * d * d, memory_size = g.B * 2 * g.M * width;
  float* gradients = scratch(Scratch::sums, gradients_size + memory_size + g.B * heads * 2 * d);  // [b][h][chunk]
  float* dmemory = gradients + gradients_size;                                                    // per batch
  float* rows = dmemory + memory_size;  // per head: m and 1 / total
  parallel_for(g.B * query_parts, [&](int64_t piece) {
    const int64_t b = piece / query_parts, part = piece % query_parts, i = part * kChunk,
                  count = std::min(kChunk, g.Lq - i);
    const int64_t at = (b * g.Lq + i) * g.q_stride;
    float *block = scratch(Scratch::attention, 2 * kChunk * width), *dblock = block + kChunk * width;
    query_softmax(g, count, in.q + at, block);
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t head = b * heads + h;
      const float* gradient = dy + (b * g.Lq + i) * width + h * d;
      gemm_packed(count, d, d, {gradient, width, 1}, packed + head * 2 * square, dblock + h * d, width, false);
      gemm(d, d, count, {block + h * d, 1, width}, {gradient, width, 1},
           gradients + (head * query_parts + part) * d * d, d, false);
    }
    for (int64_t r = 0; r < count; ++r)
      for (int64_t c = 0; c < width; c += d)
        simd.softmax_row_backward(d, block + r * width + c, dblock + r * width + c, float(1 / g.scale), 1.0f,
                                  out.dq + at + r * g.q_stride + c);
  });
  parallel_for(g.B * heads, [&](int64_t head) {
    join_gradients(d, query_parts, state.context + head * d * d, state.total + head * d,
                   gradients + head * query_parts * d * d, rows + head * 2 * d, packed + head * 2 * square);
  });
  parallel_for(g.B * key_parts, [&](int64_t piece) {
    const int64_t b = piece / key_parts;
    const KeyChunk chunk = key_chunk(g, piece % key_parts);
    float *block = scratch(Scratch::attention, 2 * kChunk * d), *dblock = block + kChunk * d;
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t head = b * heads + h, token = (b * g.Lk + chunk.begin - g.M) * g.kv_stride + h * d;
      const bool memory = chunk.begin < g.M;
      float* dk = memory ? dmemory + (b * 2 * g.M + chunk.begin) * width + h * d : out.dk + token;
      float* dv = memory ? dk + g.M * width : out.dv + token;
      const float *mean = rows + head * 2 * d, *turned = packed + head * 2 * square;
      simd.column_exp(chunk.count, d, chunk.stride, key_at(g, in, 0, b, h, chunk.begin), state.largest + head * d,
                      mean + d, block);
      gemm_packed(chunk.count, d, d, {key_at(g, in, 1, b, h, chunk.begin), chunk.stride, 1}, turned, dblock, d, false);
      gemm_packed(chunk.count, d, d, {block, d, 1}, turned + square, dv, chunk.stride, false);
      for (int64_t r = 0; r < chunk.count; ++r)
        simd.product_of_difference(d, block + r * d, dblock + r * d, mean, dk + r * chunk.stride);
    }
  });
  sum_over_batch(g.B, 2 * g.M * width, dmemory, out.dmemory);
}

}  // namespace echodiff::cpu
