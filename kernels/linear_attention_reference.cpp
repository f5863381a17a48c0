#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/linear_attention.h"

namespace echodiff::reference {
namespace {

// In place: n values `stride` apart become their softmax times `scale`.
template <class T>
void softmax(T* x, int64_t n, int64_t stride, T scale) {
  T most = x[0], sum = 0;
  for (int64_t i = 1; i < n; ++i) most = std::max(most, x[i * stride]);
  for (int64_t i = 0; i < n; ++i) sum += x[i * stride] = std::exp(x[i * stride] - most);
  for (int64_t i = 0; i < n; ++i) x[i * stride] *= scale / sum;
}

// dx_i = y_i (dy_i - sum_j y_j dy_j / scale), for y = scale softmax(x); dy is replaced by dx.
template <class T>
void softmax_backward(const T* y, T* dy, int64_t n, int64_t stride, T scale) {
  T mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += y[i * stride] * dy[i * stride];
  for (int64_t i = 0; i < n; ++i) dy[i * stride] = y[i * stride] * (dy[i * stride] - mean / scale);
}

}  // namespace

template <class T>
void linear_attention_forward(const LinearAttentionGeometry& g, const T* q, const T* k, const T* v, T* qs, T* ks, T* context, T* y) {
  const int64_t width = g.heads * g.d;
  std::copy_n(q, g.B * g.Lq * width, qs);
  std::copy_n(k, g.B * g.Lk * width, ks);
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h) {
      T* query = qs + b * g.Lq * width + h * g.d;
      T* key = ks + b * g.Lk * width + h * g.d;
      const T* value = v + b * g.Lk * width + h * g.d;
      T* C = context + (b * g.heads + h) * g.d * g.d;
      T* out = y + b * g.Lq * width + h * g.d;
      for (int64_t i = 0; i < g.Lq; ++i) softmax(query + i * width, g.d, 1, T(1 / std::sqrt(double(g.d))));
      for (int64_t c = 0; c < g.d; ++c) softmax(key + c, g.Lk, width, T(1));
      std::fill_n(C, g.d * g.d, T(0));
      for (int64_t j = 0; j < g.Lk; ++j)
        for (int64_t c = 0; c < g.d; ++c)
          for (int64_t e = 0; e < g.d; ++e) C[c * g.d + e] += key[j * width + c] * value[j * width + e];
      for (int64_t i = 0; i < g.Lq; ++i)
        for (int64_t e = 0; e < g.d; ++e) {
          T sum = 0;
          for (int64_t c = 0; c < g.d; ++c) sum += query[i * width + c] * C[c * g.d + e];
          out[i * width + e] = sum;
        }
    }
}

// dqs = dy context^T;  dcontext = qs^T dy;  dks = v dcontext^T;  dv = ks dcontext; then through both softmaxes.
template <class T>
void linear_attention_backward(const LinearAttentionGeometry& g, const T* qs, const T* ks, const T* v, const T* context, const T* dy,
                               T* dq, T* dk, T* dv) {
  const int64_t width = g.heads * g.d;
  std::vector<T> gradient(static_cast<size_t>(g.d * g.d));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h) {
      const int64_t queries = b * g.Lq * width + h * g.d, keys = b * g.Lk * width + h * g.d;
      const T* C = context + (b * g.heads + h) * g.d * g.d;
      std::fill(gradient.begin(), gradient.end(), T(0));
      for (int64_t i = 0; i < g.Lq; ++i) {
        const int64_t at = queries + i * width;
        for (int64_t c = 0; c < g.d; ++c) {
          T sum = 0;
          for (int64_t e = 0; e < g.d; ++e) {
            sum += dy[at + e] * C[c * g.d + e];
            gradient[size_t(c * g.d + e)] += qs[at + c] * dy[at + e];
          }
          dq[at + c] = sum;
        }
        softmax_backward(qs + at, dq + at, g.d, 1, T(1 / std::sqrt(double(g.d))));
      }
      for (int64_t j = 0; j < g.Lk; ++j) {
        const int64_t at = keys + j * width;
        for (int64_t c = 0; c < g.d; ++c) {
          T dks = 0, dvalue = 0;
          for (int64_t e = 0; e < g.d; ++e) {
            dks += gradient[size_t(c * g.d + e)] * v[at + e];
            dvalue += gradient[size_t(e * g.d + c)] * ks[at + e];
          }
          dk[at + c] = dks;
          dv[at + c] = dvalue;
        }
      }
      for (int64_t c = 0; c < g.d; ++c) softmax_backward(ks + keys + c, dk + keys + c, g.Lk, width, T(1));
    }
}

template void linear_attention_forward(const LinearAttentionGeometry&, const float*, const float*, const float*, float*, float*, float*,
                                       float*);
template void linear_attention_forward(const LinearAttentionGeometry&, const double*, const double*, const double*, double*, double*,
                                       double*, double*);
template void linear_attention_backward(const LinearAttentionGeometry&, const float*, const float*, const float*, const float*,
                                        const float*, float*, float*, float*);
template void linear_attention_backward(const LinearAttentionGeometry&, const double*, const double*, const double*, const double*,
                                        const double*, double*, double*, double*);

}  // namespace echodiff::reference
