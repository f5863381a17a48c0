// Blocks of queries against tiles of keys with a running maximum and sum (Dao et al. 2022, arXiv:2205.14135): the score
// matrix is never in memory. Backward computes the probabilities again from lse = log sum_j exp(scale q k_j); one
// kernel owns rows of dq, another rows of dk and dv, so nothing is added atomically.
#include "kernels/cuda/key_gradient.h"
#include "kernels/error.h"

namespace echodiff::cuda {

constexpr int kAttentionTile = 32;  // queries and keys of a tile: a lane each
constexpr int kAttentionWarps = 8;
constexpr int kAttentionRows = kAttentionTile / kAttentionWarps;  // of a tile that one warp owns
constexpr int kScoreWidth = kAttentionTile + 1;                   // padded: a column falls on 32 banks

// The block's (batch, head) and tile.
struct AttentionBlock {
  AttentionGeometry geo;
  int64_t b, h, tile;
  __device__ AttentionBlock(const AttentionGeometry& geo, int64_t tiles)
      : geo(geo), b(blockIdx.x / tiles / geo.heads), h(blockIdx.x / tiles % geo.heads), tile(blockIdx.x % tiles) {}
  __device__ int64_t query(int64_t row) const { return (b * geo.Lq + row) * geo.q_stride + h * geo.d; }  // in q, dq
  __device__ int64_t output(int64_t row) const { return (b * geo.Lq + row) * geo.width() + h * geo.d; }  // in y, dy
  __device__ int64_t statistic(int64_t row) const { return (b * geo.heads + h) * geo.Lq + row; }
};

// shared (kAttentionTile, d + 1) = rows [first, first + kAttentionTile) of an operand, 0 from row L on. row_at(row) is
// where one begins.
template <class RowAt>
__device__ void load_tile(int64_t d, int64_t L, int64_t first, const RowAt& row_at, float* shared) {
  for (int64_t i = threadIdx.x; i < kAttentionTile * d; i += blockDim.x) {
    const int64_t row = first + i / d;
    shared[i / d * (d + 1) + i % d] = row < L ? load(row_at(row) + i % d) : 0.0f;
  }
}
template <class T> __device__ void load_queries(const AttentionBlock& block, const T* q, int64_t first, float* shared) {
  load_tile(
      block.geo.d, block.geo.Lq, first, [&](int64_t row) { return q + block.query(row); }, shared);
}
template <class T>
__device__ void load_outputs(const AttentionBlock& block, const T* dy, int64_t first, float* shared) {
  load_tile(
      block.geo.d, block.geo.Lq, first, [&](int64_t row) { return dy + block.output(row); }, shared);
}
template <class T>
__device__ void load_keys(const AttentionBlock& block, const AttentionInputs<T>& in, int part, int64_t first,
                          float* shared) {
  load_tile(
      block.geo.d, block.geo.keys(), first,
      [&](int64_t row) { return key_at(block.geo, in, part, block.b, block.h, row); }, shared);
}

__device__ float dot(const float* a, const float* b, int64_t d) {
  float sum = 0;
  for (int64_t c = 0; c < d; ++c) sum += a[c] * b[c];
  return sum;
}

template <class T>
__global__ void attention_forward_kernel(AttentionGeometry geo, int64_t tiles, AttentionInputs<T> in, T* y,
                                         float* lse) {
  const AttentionBlock block(geo, tiles);
  const int64_t width = geo.d + 1, first = block.tile * kAttentionTile;
  float *query = dynamic_shared<float>(), *key = query + kAttentionTile * width, *value = key + kAttentionTile * width;
  float *out = value + kAttentionTile * width, *score = out + kAttentionTile * width;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  float most[kAttentionRows], sum[kAttentionRows];
  load_queries(block, in.q, first, query);
  for (int i = 0; i < kAttentionRows; ++i) {
    most[i] = -INFINITY;
    sum[i] = 0;
    for (int64_t c = lane; c < geo.d; c += 32) out[(warp * kAttentionRows + i) * width + c] = 0;
  }
  for (int64_t keys = 0; keys < geo.keys(); keys += kAttentionTile) {
    __syncthreads();  // the tile before has been read
    load_keys(block, in, 0, keys, key);
    load_keys(block, in, 1, keys, value);
    __syncthreads();
    for (int i = 0; i < kAttentionRows; ++i) {
      const int row = warp * kAttentionRows + i;
      const float s =
          keys + lane < geo.keys() ? dot(query + row * width, key + lane * width, geo.d) * float(geo.scale) : -INFINITY;
      const float now = fmaxf(most[i], warp_max(s)), kept = expf(most[i] - now), p = expf(s - now);
      sum[i] = sum[i] * kept + warp_sum(p);
      most[i] = now;
      score[row * kScoreWidth + lane] = p;
      __syncwarp();
      for (int64_t c = lane; c < geo.d; c += 32) {
        float mixed = out[row * width + c] * kept;
        for (int j = 0; j < kAttentionTile; ++j) mixed += score[row * kScoreWidth + j] * value[j * width + c];
        out[row * width + c] = mixed;
      }
    }
  }
  for (int i = 0; i < kAttentionRows; ++i) {
    const int64_t row = first + warp * kAttentionRows + i;
    if (row >= geo.Lq) break;
    for (int64_t c = lane; c < geo.d; c += 32)
      store(y + block.output(row) + c, out[(warp * kAttentionRows + i) * width + c] / sum[i]);
    if (lane == 0) lse[block.statistic(row)] = most[i] + logf(sum[i]);
  }
}

// delta_i = dy_i . y_i = sum_j p_ij dp_ij; one warp a row.
template <class T>
__global__ void attention_delta_kernel(AttentionGeometry geo, const T* y, const T* dy, float* delta) {
  const int64_t row = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (row >= geo.B * geo.heads * geo.Lq) return;
  const int64_t b = row / geo.Lq / geo.heads, h = row / geo.Lq % geo.heads;
  const int64_t at = (b * geo.Lq + row % geo.Lq) * geo.width() + h * geo.d;
  float sum = 0;
  for (int64_t c = lane; c < geo.d; c += 32) sum += load(y + at + c) * load(dy + at + c);
  sum = warp_sum(sum);
  if (lane == 0) delta[row] = sum;
}

// dq_i = scale sum_j p_ij (dy_i . v_j - delta_i) k_j
template <class T>
__global__ void attention_dq_kernel(AttentionGeometry geo, int64_t tiles, AttentionInputs<T> in, const T* dy,
                                    const float* lse, const float* delta, T* dq) {
  const AttentionBlock block(geo, tiles);
  const int64_t width = geo.d + 1, first = block.tile * kAttentionTile;
  float *query = dynamic_shared<float>(), *key = query + kAttentionTile * width, *value = key + kAttentionTile * width;
  float *gradient = value + kAttentionTile * width, *out = gradient + kAttentionTile * width,
        *ds = out + kAttentionTile * width;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  load_queries(block, in.q, first, query);
  load_outputs(block, dy, first, gradient);
  for (int i = 0; i < kAttentionRows; ++i)
    for (int64_t c = lane; c < geo.d; c += 32) out[(warp * kAttentionRows + i) * width + c] = 0;
  for (int64_t keys = 0; keys < geo.keys(); keys += kAttentionTile) {
    __syncthreads();
    load_keys(block, in, 0, keys, key);
    load_keys(block, in, 1, keys, value);
    __syncthreads();
    for (int i = 0; i < kAttentionRows; ++i) {
      const int row = warp * kAttentionRows + i;
      if (first + row >= geo.Lq) break;  // a whole warp
      const float s = dot(query + row * width, key + lane * width, geo.d) * float(geo.scale);
      const float p = keys + lane < geo.keys() ? expf(s - lse[block.statistic(first + row)]) : 0.0f;
      const float dp = dot(gradient + row * width, value + lane * width, geo.d);
      ds[row * kScoreWidth + lane] = p * (dp - delta[block.statistic(first + row)]) * float(geo.scale);
      __syncwarp();
      for (int64_t c = lane; c < geo.d; c += 32) {
        float sum = out[row * width + c];
        for (int j = 0; j < kAttentionTile; ++j) sum += ds[row * kScoreWidth + j] * key[j * width + c];
        out[row * width + c] = sum;
      }
    }
  }
  for (int i = 0; i < kAttentionRows; ++i) {
    const int64_t row = first + warp * kAttentionRows + i;
    if (row >= geo.Lq) break;
    for (int64_t c = lane; c < geo.d; c += 32)
      store(dq + block.query(row) + c, out[(warp * kAttentionRows + i) * width + c]);
  }
}

// dv_j = sum_i p_ij dy_i,  dk_j = scale sum_i p_ij (dy_i . v_j - delta_i) q_i; a lane is a query here.
template <class T>
__global__ void attention_dkdv_kernel(AttentionGeometry geo, int64_t tiles, AttentionInputs<T> in, const T* dy,
                                      const float* lse, const float* delta, AttentionGradients<T> gradients,
                                      float* memory_parts) {
  const AttentionBlock block(geo, tiles);
  const int64_t width = geo.d + 1, tile_size = kAttentionTile * width, first = block.tile * kAttentionTile;
  float *query = dynamic_shared<float>(), *key = query + tile_size, *value = key + tile_size,
        *gradient = value + tile_size;
  float *out_k = gradient + tile_size, *out_v = out_k + tile_size, *p = out_v + tile_size,
        *ds = p + kAttentionTile * kScoreWidth;
  const int lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  load_keys(block, in, 0, first, key);
  load_keys(block, in, 1, first, value);
  for (int i = 0; i < kAttentionRows; ++i)
    for (int64_t c = lane; c < geo.d; c += 32)
      out_k[(warp * kAttentionRows + i) * width + c] = out_v[(warp * kAttentionRows + i) * width + c] = 0;
  for (int64_t queries = 0; queries < geo.Lq; queries += kAttentionTile) {
    __syncthreads();
    load_queries(block, in.q, queries, query);
    load_outputs(block, dy, queries, gradient);
    __syncthreads();
    const bool inside = queries + lane < geo.Lq;
    const float lse_of_query = inside ? lse[block.statistic(queries + lane)] : 0.0f;
    const float delta_of_query = inside ? delta[block.statistic(queries + lane)] : 0.0f;
    for (int i = 0; i < kAttentionRows; ++i) {
      const int row = warp * kAttentionRows + i;
      const float s = dot(query + lane * width, key + row * width, geo.d) * float(geo.scale);
      const float probability = inside ? expf(s - lse_of_query) : 0.0f;
      const float dp = dot(gradient + lane * width, value + row * width, geo.d);
      p[row * kScoreWidth + lane] = probability;
      ds[row * kScoreWidth + lane] = probability * (dp - delta_of_query) * float(geo.scale);
      __syncwarp();
      for (int64_t c = lane; c < geo.d; c += 32) {
        float sum_k = out_k[row * width + c], sum_v = out_v[row * width + c];
        for (int j = 0; j < kAttentionTile; ++j) {
          sum_k += ds[row * kScoreWidth + j] * query[j * width + c];
          sum_v += p[row * kScoreWidth + j] * gradient[j * width + c];
        }
        out_k[row * width + c] = sum_k;
        out_v[row * width + c] = sum_v;
      }
    }
  }
  for (int i = 0; i < kAttentionRows; ++i) {
    const int64_t row = first + warp * kAttentionRows + i;
    if (row >= geo.keys()) break;
    for (int64_t c = lane; c < geo.d; c += 32) {
      const int64_t at = (warp * kAttentionRows + i) * width + c;
      store_key_gradient(geo, gradients, memory_parts, 0, block.b, block.h, row, c, out_k[at]);
      store_key_gradient(geo, gradients, memory_parts, 1, block.b, block.h, row, c, out_v[at]);
    }
  }
}

namespace {

int64_t tiles_of(int64_t L) { return (L + kAttentionTile - 1) / kAttentionTile; }

// Shared memory of `operands` tiles of d columns and `scores` of scores.
LaunchShape attention_shape(const AttentionGeometry& geo, int64_t tiles, int64_t operands, int64_t scores,
                            Stream stream) {
  check(geo.d <= kMaxAttentionWidth, "cuda attention: ", geo.d, " channels a head, expected at most ",
        kMaxAttentionWidth, "; use more heads");
  const int64_t floats = kAttentionTile * (operands * (geo.d + 1) + scores * kScoreWidth);
  return {dim3(unsigned(geo.B * geo.heads * tiles)), dim3(32 * kAttentionWarps), size_t(floats) * sizeof(float),
          stream};
}

}  // namespace

template <class T>
void attention_forward(const AttentionGeometry& geo, const AttentionInputs<T>& in, T* y, float* lse, Stream stream) {
  const int64_t tiles = tiles_of(geo.Lq);
  if (geo.B * geo.heads * tiles == 0) return;
  launch(attention_forward_kernel<T>, attention_shape(geo, tiles, 4, 1, stream), geo, tiles, in, y, lse);
}

// delta (B, heads, Lq), then the parts of the memory's gradient.
int64_t attention_backward_scratch(const AttentionGeometry& geo) {
  return geo.B * geo.heads * geo.Lq + memory_parts_size(geo);
}

template <class T>
void attention_backward(const AttentionGeometry& geo, const AttentionInputs<T>& in, const T* y, const float* lse,
                        const T* dy, const AttentionGradients<T>& out, float* scratch, Stream stream) {
  const int64_t query_tiles = tiles_of(geo.Lq), key_tiles = tiles_of(geo.keys()), rows = geo.B * geo.heads * geo.Lq;
  float *delta = scratch, *memory_parts = geo.M > 0 ? scratch + rows : nullptr;
  if (rows > 0) {
    launch(attention_delta_kernel<T>, {blocks_for(32 * rows), dim3(unsigned(kBlockThreads)), 0, stream}, geo, y, dy,
           delta);
    launch(attention_dq_kernel<T>, attention_shape(geo, query_tiles, 5, 1, stream), geo, query_tiles, in, dy, lse,
           delta, out.dq);
  }
  if (geo.B * geo.heads * key_tiles > 0)
    launch(attention_dkdv_kernel<T>, attention_shape(geo, key_tiles, 6, 2, stream), geo, key_tiles, in, dy, lse, delta,
           out, memory_parts);
  sum_memory_gradient(geo, memory_parts, out.dmemory, stream);
}

template decltype(attention_forward<float>) attention_forward<float>;
template decltype(attention_forward<Bfloat16>) attention_forward<Bfloat16>;
template decltype(attention_backward<float>) attention_backward<float>;
template decltype(attention_backward<Bfloat16>) attention_backward<Bfloat16>;

}  // namespace echodiff::cuda
