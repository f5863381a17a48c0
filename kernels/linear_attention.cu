#include "kernels/linear_attention.h"

#include "kernels/cuda/column_sums.h"
#include "kernels/softmax.h"

namespace echodiff::cuda {

// qs = softmax over the d channels of a head, times d^-0.5; one warp per (token, head), `row` numbers them in memory
// order.
template <class T>
__global__ void query_softmax_kernel(int64_t rows, int64_t d, const T* q, T* qs) {
  const int64_t row = thread_index() / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  float most = -INFINITY, sum = 0;
  for (int64_t c = lane; c < d; c += 32) most = fmaxf(most, load(q + row * d + c));
  most = warp_max(most);
  for (int64_t c = lane; c < d; c += 32) sum += expf(load(q + row * d + c) - most);
  const float scale = 1 / (sqrtf(float(d)) * warp_sum(sum));
  for (int64_t c = lane; c < d; c += 32) store(qs + row * d + c, expf(load(q + row * d + c) - most) * scale);
}

// (B heads, d d) of outer products summed over tokens: left_c right_e
template <class T>
struct ContextTerm {
  using Sum = float;
  AttentionGeometry geo;
  int64_t L;
  const T *left, *right;  // (B, L, heads d)
  __device__ float operator()(int64_t bh, int64_t token, int64_t ce) const {
    const int64_t at = ((bh / geo.heads * L + token) * geo.heads + bh % geo.heads) * geo.d;
    return load(left + at + ce / geo.d) * load(right + at + ce % geo.d);
  }
};

struct StoreContext {
  int64_t size;  // d d
  float* context;
  __device__ void operator()(int64_t bh, int64_t ce, float total) const { context[bh * size + ce] = total; }
};

// out[token, e] = sum_c tokens[token, c] M[c, e], or M[e, c] if transposed, with the matrix of the token's (batch,
// head)
template <class T>
__global__ void times_context_kernel(int64_t n, AttentionGeometry geo, int64_t L, const T* tokens,
                                     const float* matrix, bool transposed, T* out) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t row = i / geo.d, e = i % geo.d, b = row / geo.heads / L;
  const float* m = matrix + (b * geo.heads + row % geo.heads) * geo.d * geo.d;
  float sum = 0;
  for (int64_t c = 0; c < geo.d; ++c)
    sum += load(tokens + row * geo.d + c) * (transposed ? m[e * geo.d + c] : m[c * geo.d + e]);
  store(out + i, sum);
}

// In place: dqs becomes dq.
template <class T>
__global__ void query_softmax_backward_kernel(int64_t rows, int64_t d, const T* qs, T* dq) {
  const int64_t row = thread_index() / 32, lane = threadIdx.x % 32;
  if (row >= rows) return;
  float dot = 0;
  for (int64_t c = lane; c < d; c += 32) dot += load(qs + row * d + c) * load(dq + row * d + c);
  dot = warp_sum(dot) * sqrtf(float(d));
  for (int64_t c = lane; c < d; c += 32)
    store(dq + row * d + c, load(qs + row * d + c) * (load(dq + row * d + c) - dot));
}

int64_t linear_attention_scratch(const AttentionGeometry& geo) {
  const int64_t outer = geo.B * geo.heads, size = geo.d * geo.d;
  return outer * size + std::max(column_scratch({outer, geo.Lk, size}), column_scratch({outer, geo.Lq, size}));
}

template <class T>
void linear_attention_forward(const AttentionGeometry& geo, const T* q, const T* k, const T* v, T* qs, T* ks,
                              float* context, T* y, float* scratch, Stream stream) {
  const int64_t rows = geo.B * geo.Lq * geo.heads, size = geo.d * geo.d;
  if (rows > 0)
    launch(query_softmax_kernel<T>, {blocks_for(32 * rows), dim3(unsigned(kBlockThreads)), 0, stream}, rows, geo.d, q,
           qs);
  softmax_forward({geo.B, geo.Lk, geo.heads * geo.d}, k, ks, stream);
  column_sums({geo.B * geo.heads, geo.Lk, size}, ContextTerm<T>{geo, geo.Lk, ks, v}, StoreContext{size, context},
              scratch, stream);
  launch_elements(times_context_kernel<T>, rows * geo.d, stream, geo, geo.Lq, static_cast<const T*>(qs),
                  static_cast<const float*>(context), false, y);
}

template <class T>
void linear_attention_backward(const AttentionGeometry& geo, const T* qs, const T* ks, const T* v,
                               const float* context, const T* dy, T* dq, T* dk, T* dv, float* scratch, Stream stream) {
  const int64_t rows = geo.B * geo.Lq * geo.heads, keys = geo.B * geo.Lk * geo.heads * geo.d, size = geo.d * geo.d;
  float *dcontext = scratch, *partials = scratch + geo.B * geo.heads * size;
  column_sums({geo.B * geo.heads, geo.Lq, size}, ContextTerm<T>{geo, geo.Lq, qs, dy}, StoreContext{size, dcontext},
              partials, stream);
  launch_elements(times_context_kernel<T>, rows * geo.d, stream, geo, geo.Lq, dy, context, true, dq);
  if (rows > 0)
    launch(query_softmax_backward_kernel<T>, {blocks_for(32 * rows), dim3(unsigned(kBlockThreads)), 0, stream}, rows,
           geo.d, qs, dq);
  launch_elements(times_context_kernel<T>, keys, stream, geo, geo.Lk, v, static_cast<const float*>(dcontext), true, dk);
  launch_elements(times_context_kernel<T>, keys, stream, geo, geo.Lk, ks, static_cast<const float*>(dcontext), false,
                  dv);
  softmax_backward({geo.B, geo.Lk, geo.heads * geo.d}, ks, static_cast<const T*>(dk), dk, stream);
}

template void linear_attention_forward(const AttentionGeometry&, const float*, const float*, const float*, float*,
                                       float*, float*, float*, float*, Stream);
template void linear_attention_forward(const AttentionGeometry&, const Bfloat16*, const Bfloat16*,
                                       const Bfloat16*, Bfloat16*, Bfloat16*, float*, Bfloat16*, float*, Stream);
template void linear_attention_backward(const AttentionGeometry&, const float*, const float*, const float*,
                                        const float*, const float*, float*, float*, float*, float*, Stream);
template void linear_attention_backward(const AttentionGeometry&, const Bfloat16*, const Bfloat16*,
                                        const Bfloat16*, const float*, const Bfloat16*, Bfloat16*, Bfloat16*, Bfloat16*,
                                        float*, Stream);

}  // namespace echodiff::cuda
