#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/attention.h"

namespace echodiff::reference {
namespace {

// p[j] = softmax_j(scale q_i . k_j) for one query row.
template <class T>
void probabilities(const AttentionGeometry& g, const T* q, const T* k, T* p) {
  const int64_t width = g.heads * g.d;
  for (int64_t j = 0; j < g.Lk; ++j) {
    T score = 0;
    for (int64_t c = 0; c < g.d; ++c) score += q[c] * k[j * width + c];
    p[j] = score * T(g.scale);
  }
  const T most = *std::max_element(p, p + g.Lk);
  T sum = 0;
  for (int64_t j = 0; j < g.Lk; ++j) sum += p[j] = std::exp(p[j] - most);
  for (int64_t j = 0; j < g.Lk; ++j) p[j] /= sum;
}

}  // namespace

template <class T>
void attention_forward(const AttentionGeometry& g, const T* q, const T* k, const T* v, T* y) {
  const int64_t width = g.heads * g.d;
  std::vector<T> p(static_cast<size_t>(g.Lk));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h)
      for (int64_t i = 0; i < g.Lq; ++i) {
        const int64_t at = (b * g.Lq + i) * width + h * g.d, keys = b * g.Lk * width + h * g.d;
        probabilities(g, q + at, k + keys, p.data());
        for (int64_t c = 0; c < g.d; ++c) {
          T sum = 0;
          for (int64_t j = 0; j < g.Lk; ++j) sum += p[size_t(j)] * v[keys + j * width + c];
          y[at + c] = sum;
        }
      }
}

// dv_j += p_ij dy_i;  dp_ij = dy_i . v_j;  ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij);  dq_i = scale ds k;  dk_j += scale ds_ij q_i
template <class T>
void attention_backward(const AttentionGeometry& g, const T* q, const T* k, const T* v, const T* dy, T* dq, T* dk, T* dv) {
  const int64_t width = g.heads * g.d;
  std::fill_n(dq, g.B * g.Lq * width, T(0));
  std::fill_n(dk, g.B * g.Lk * width, T(0));
  std::fill_n(dv, g.B * g.Lk * width, T(0));
  std::vector<T> p(static_cast<size_t>(g.Lk)), dp(static_cast<size_t>(g.Lk));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h)
      for (int64_t i = 0; i < g.Lq; ++i) {
        const int64_t at = (b * g.Lq + i) * width + h * g.d, keys = b * g.Lk * width + h * g.d;
        probabilities(g, q + at, k + keys, p.data());
        T mean = 0;
        for (int64_t j = 0; j < g.Lk; ++j) {
          T sum = 0;
          for (int64_t c = 0; c < g.d; ++c) {
            sum += dy[at + c] * v[keys + j * width + c];
            dv[keys + j * width + c] += p[size_t(j)] * dy[at + c];
          }
          dp[size_t(j)] = sum;
          mean += p[size_t(j)] * sum;
        }
        for (int64_t j = 0; j < g.Lk; ++j) {
          const T ds = p[size_t(j)] * (dp[size_t(j)] - mean) * T(g.scale);
          for (int64_t c = 0; c < g.d; ++c) {
            dq[at + c] += ds * k[keys + j * width + c];
            dk[keys + j * width + c] += ds * q[at + c];
          }
        }
      }
}

template void attention_forward(const AttentionGeometry&, const float*, const float*, const float*, float*);
template void attention_forward(const AttentionGeometry&, const double*, const double*, const double*, double*);
template void attention_backward(const AttentionGeometry&, const float*, const float*, const float*, const float*, float*, float*, float*);
template void attention_backward(const AttentionGeometry&, const double*, const double*, const double*, const double*, double*, double*,
                                 double*);

}  // namespace echodiff::reference
