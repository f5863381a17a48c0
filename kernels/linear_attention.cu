// Both softmaxes are written out as qs (B, Lq, heads, d) and ks (B, keys, heads, d), in scratch, forward and backward;
// everything else is sums over tokens and products with (d, d) matrices.
#include "kernels/linear_attention.h"

#include "kernels/cuda/column_sums.h"
#include "kernels/cuda/combine_rows.h"
#include "kernels/cuda/key_gradient.h"

namespace echodiff::cuda {

constexpr int kKeyColumns = 32,
              kKeyRows = int(kBlockThreads) / kKeyColumns;  // threads of a block over (channels, keys)

// largest and total, then ks = exp(k - largest) / total; a block owns kKeyColumns channels of one (batch, head).
template <class T>
__global__ void key_softmax_kernel(AttentionGeometry geo, int64_t tiles, AttentionInputs<T> in, float* largest,
                                   float* total, float* ks) {
  const int64_t piece = int64_t(blockIdx.x) / tiles, b = piece / geo.heads, h = piece % geo.heads;
  const int64_t c = int64_t(blockIdx.x) % tiles * blockDim.x + threadIdx.x;
  const bool inside = c < geo.d;
  float most = -INFINITY, sum = 0;
  if (inside)
    for (int64_t j = threadIdx.y; j < geo.keys(); j += blockDim.y)
      most = fmaxf(most, load(key_at(geo, in, 0, b, h, j) + c));
  most = combine_rows(most, Larger{});
  if (inside)
    for (int64_t j = threadIdx.y; j < geo.keys(); j += blockDim.y)
      sum += expf(load(key_at(geo, in, 0, b, h, j) + c) - most);
  sum = combine_rows(sum, Plus{});
  if (!inside) return;
  for (int64_t j = threadIdx.y; j < geo.keys(); j += blockDim.y)
    ks[((b * geo.keys() + j) * geo.heads + h) * geo.d + c] = expf(load(key_at(geo, in, 0, b, h, j) + c) - most) / sum;
  if (threadIdx.y == 0) {
    largest[piece * geo.d + c] = most;
    total[piece * geo.d + c] = sum;
  }
}

// ks again, from what forward left.
template <class T>
__global__ void key_softmax_again_kernel(int64_t n, AttentionGeometry geo, AttentionInputs<T> in, const float* largest,
                                         const float* total, float* ks) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t c = i % geo.d, h = i / geo.d % geo.heads, row = i / geo.width(), b = row / geo.keys();
  const int64_t column = (b * geo.heads + h) * geo.d + c;
  ks[i] = expf(load(key_at(geo, in, 0, b, h, row % geo.keys()) + c) - largest[column]) / total[column];
}

// qs = softmax over the d channels of a head, times the scale; one warp per (token, head).
template <class T> __global__ void query_softmax_kernel(int64_t rows, AttentionGeometry geo, const T* q, float* qs) {
  const int64_t row = thread_index() / 32, lane = threadIdx.x % 32, d = geo.d;
  if (row >= rows) return;
  const T* in = q + row / geo.heads * geo.q_stride + row % geo.heads * d;
  float most = -INFINITY, sum = 0;
  for (int64_t c = lane; c < d; c += 32) most = fmaxf(most, load(in + c));
  most = warp_max(most);
  for (int64_t c = lane; c < d; c += 32) sum += expf(load(in + c) - most);
  const float factor = float(geo.scale) / warp_sum(sum);
  for (int64_t c = lane; c < d; c += 32) qs[row * d + c] = expf(load(in + c) - most) * factor;
}

// (B heads, d d) of outer products summed over tokens: ks_c v_e, or qs_c dy_e.
template <class T> struct KeyValueTerm {
  using Sum = float;
  AttentionGeometry geo;
  AttentionInputs<T> in;
  const float* ks;
  __device__ float operator()(int64_t bh, int64_t j, int64_t ce) const {
    const int64_t b = bh / geo.heads, h = bh % geo.heads;
    return ks[((b * geo.keys() + j) * geo.heads + h) * geo.d + ce / geo.d] *
           load(key_at(geo, in, 1, b, h, j) + ce % geo.d);
  }
};
template <class T> struct QueryGradientTerm {
  using Sum = float;
  AttentionGeometry geo;
  const float* qs;
  const T* dy;
  __device__ float operator()(int64_t bh, int64_t i, int64_t ce) const {
    const int64_t at = ((bh / geo.heads * geo.Lq + i) * geo.heads + bh % geo.heads) * geo.d;
    return qs[at + ce / geo.d] * load(dy + at + ce % geo.d);
  }
};

struct StoreContext {
  int64_t size;  // d d
  float* context;
  __device__ void operator()(int64_t bh, int64_t ce, float total) const { context[bh * size + ce] = total; }
};

// y_e = sum_c qs_c context_ce
template <class T>
__global__ void times_context_kernel(int64_t n, AttentionGeometry geo, const float* qs, const float* context, T* y) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t row = i / geo.d, e = i % geo.d, b = row / geo.heads / geo.Lq;
  const float* m = context + (b * geo.heads + row % geo.heads) * geo.d * geo.d;
  float sum = 0;
  for (int64_t c = 0; c < geo.d; ++c) sum += qs[row * geo.d + c] * m[c * geo.d + e];
  store(y + i, sum);
}

// dqs_c = sum_e dy_e context_ce;  dq_c = qs_c (dqs_c - sum_c qs_c dqs_c / scale); one warp per (token, head), and dqs
// waits in its place.
template <class T>
__global__ void query_gradient_kernel(int64_t rows, AttentionGeometry geo, const float* qs, const float* context,
                                      const T* dy, T* dq) {
  const int64_t row = thread_index() / 32, lane = threadIdx.x % 32, d = geo.d;
  if (row >= rows) return;
  const float* m = context + (row / geo.heads / geo.Lq * geo.heads + row % geo.heads) * d * d;
  T* out = dq + row / geo.heads * geo.q_stride + row % geo.heads * d;
  float mean = 0;
  for (int64_t c = lane; c < d; c += 32) {
    float sum = 0;
    for (int64_t e = 0; e < d; ++e) sum += load(dy + row * d + e) * m[c * d + e];
    store(out + c, sum);
    mean += qs[row * d + c] * sum;
  }
  mean = warp_sum(mean) / float(geo.scale);
  for (int64_t c = lane; c < d; c += 32) store(out + c, qs[row * d + c] * (load(out + c) - mean));
}

// m_c = dcontext_c . context_c
__global__ void context_rows_kernel(int64_t n, int64_t d, const float* dcontext, const float* context, float* means) {
  const int64_t i = thread_index();
  if (i >= n) return;
  float sum = 0;
  for (int64_t e = 0; e < d; ++e) sum += dcontext[i * d + e] * context[i * d + e];
  means[i] = sum;
}

// dk_c = ks_c (sum_e v_e dcontext_ce - m_c);  dv_c = sum_e ks_e dcontext_ec
template <class T>
__global__ void key_gradient_kernel(int64_t n, AttentionGeometry geo, AttentionInputs<T> in, const float* ks,
                                    const float* dcontext, const float* means, AttentionGradients<T> out,
                                    float* memory_parts) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t d = geo.d, c = i % d, h = i / d % geo.heads, row = i / geo.width();
  const int64_t b = row / geo.keys(), j = row % geo.keys(), piece = b * geo.heads + h;
  const T* v = key_at(geo, in, 1, b, h, j);
  const float *m = dcontext + piece * d * d, *weights = ks + i - c;
  float dks = 0, dvalue = 0;
  for (int64_t e = 0; e < d; ++e) {
    dks += load(v + e) * m[c * d + e];
    dvalue += weights[e] * m[e * d + c];
  }
  store_key_gradient(geo, out, memory_parts, 0, b, h, j, c, weights[c] * (dks - means[piece * d + c]));
  store_key_gradient(geo, out, memory_parts, 1, b, h, j, c, dvalue);
}

namespace {

// The parts of scratch, one behind the other: where each begins, in floats.
struct LinearAttentionParts {
  int64_t qs = 0, ks, dcontext, means, memory, partials, end;
  explicit LinearAttentionParts(const AttentionGeometry& geo) {
    const int64_t outer = geo.B * geo.heads, square = geo.d * geo.d;
    ks = geo.B * geo.Lq * geo.width();
    dcontext = ks + geo.B * geo.keys() * geo.width();
    means = dcontext + outer * square;
    memory = means + outer * geo.d;
    partials = memory + memory_parts_size(geo);
    end = partials + std::max(column_scratch({outer, geo.keys(), square}), column_scratch({outer, geo.Lq, square}));
  }
};

template <class T> void query_softmax(const AttentionGeometry& geo, const T* q, float* qs, Stream stream) {
  const int64_t rows = geo.B * geo.Lq * geo.heads;
  if (rows > 0)
    launch(query_softmax_kernel<T>, {blocks_for(32 * rows), dim3(unsigned(kBlockThreads)), 0, stream}, rows, geo, q,
           qs);
}

}  // namespace

int64_t linear_attention_scratch(const AttentionGeometry& geo) { return LinearAttentionParts(geo).end; }

template <class T>
void linear_attention_forward(const AttentionGeometry& geo, const AttentionInputs<T>& in,
                              const LinearAttentionState<float>& state, T* y, float* scratch, Stream stream) {
  const LinearAttentionParts parts(geo);
  float *qs = scratch + parts.qs, *ks = scratch + parts.ks;
  const int64_t square = geo.d * geo.d, tiles = (geo.d + kKeyColumns - 1) / kKeyColumns;
  if (geo.B * geo.heads * tiles == 0) return;
  query_softmax(geo, in.q, qs, stream);
  launch(key_softmax_kernel<T>,
         {dim3(unsigned(geo.B * geo.heads * tiles)), dim3(unsigned(kKeyColumns), unsigned(kKeyRows)),
          size_t(kBlockThreads) * sizeof(float), stream},
         geo, tiles, in, state.largest, state.total, ks);
  column_sums({geo.B * geo.heads, geo.keys(), square}, KeyValueTerm<T>{geo, in, ks},
              StoreContext{square, state.context}, scratch + parts.partials, stream);
  launch_elements(times_context_kernel<T>, geo.B * geo.Lq * geo.width(), stream, geo, static_cast<const float*>(qs),
                  static_cast<const float*>(state.context), y);
}

template <class T>
void linear_attention_backward(const AttentionGeometry& geo, const AttentionInputs<T>& in,
                               const LinearAttentionState<const float>& state, const T* dy,
                               const AttentionGradients<T>& out, float* scratch, Stream stream) {
  const LinearAttentionParts parts(geo);
  float *qs = scratch + parts.qs, *ks = scratch + parts.ks, *dcontext = scratch + parts.dcontext,
        *means = scratch + parts.means, *memory = scratch + parts.memory;
  const int64_t outer = geo.B * geo.heads, square = geo.d * geo.d, rows = geo.B * geo.Lq * geo.heads;
  const int64_t keys = geo.B * geo.keys() * geo.width();
  query_softmax(geo, in.q, qs, stream);
  launch_elements(key_softmax_again_kernel<T>, keys, stream, geo, in, state.largest, state.total, ks);
  column_sums({outer, geo.Lq, square}, QueryGradientTerm<T>{geo, qs, dy}, StoreContext{square, dcontext},
              scratch + parts.partials, stream);
  launch_elements(context_rows_kernel, outer * geo.d, stream, geo.d, static_cast<const float*>(dcontext), state.context,
                  means);
  if (rows > 0)
    launch(query_gradient_kernel<T>, {blocks_for(32 * rows), dim3(unsigned(kBlockThreads)), 0, stream}, rows, geo, qs,
           state.context, dy, out.dq);
  launch_elements(key_gradient_kernel<T>, keys, stream, geo, in, static_cast<const float*>(ks),
                  static_cast<const float*>(dcontext), static_cast<const float*>(means), out, memory);
  sum_memory_gradient(geo, memory, out.dmemory, stream);
}

template decltype(linear_attention_forward<float>) linear_attention_forward<float>;
template decltype(linear_attention_forward<Bfloat16>) linear_attention_forward<Bfloat16>;
template decltype(linear_attention_backward<float>) linear_attention_backward<float>;
template decltype(linear_attention_backward<Bfloat16>) linear_attention_backward<Bfloat16>;

}  // namespace echodiff::cuda
