#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace echodiff::reference {
namespace {

// p[j] = softmax_j(scale q . k_j) for one query.
template <class T>
void probabilities(const AttentionGeometry& g, const AttentionInputs<T>& in, int64_t b, int64_t h, const T* q,
                   std::vector<T>& p) {
  for (int64_t j = 0; j < g.keys(); ++j) {
    const T* k = key_at(g, in, 0, b, h, j);
    T score = 0;
    for (int64_t c = 0; c < g.d; ++c) score += q[c] * k[c];
    p[size_t(j)] = score * T(g.scale);
  }
  const T most = *std::max_element(p.begin(), p.end());
  T sum = 0;
  for (T& value : p) sum += value = std::exp(value - most);
  for (T& value : p) value /= sum;
}

}  // namespace

template <class T> void attention_forward(const AttentionGeometry& g, const AttentionInputs<T>& in, T* y) {
  std::vector<T> p(static_cast<size_t>(g.keys()));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h)
      for (int64_t i = 0; i < g.Lq; ++i) {
        probabilities(g, in, b, h, in.q + (b * g.Lq + i) * g.q_stride + h * g.d, p);
        T* out = y + (b * g.Lq + i) * g.width() + h * g.d;
        std::fill_n(out, g.d, T(0));
        for (int64_t j = 0; j < g.keys(); ++j) {
          const T* v = key_at(g, in, 1, b, h, j);
          for (int64_t c = 0; c < g.d; ++c) out[c] += p[size_t(j)] * v[c];
        }
      }
}

// dv_j += p_ij dy_i;  dp_ij = dy_i . v_j;  ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij)
// dq_i = scale sum_j ds_ij k_j;  dk_j += scale ds_ij q_i
template <class T>
void attention_backward(const AttentionGeometry& g, const AttentionInputs<T>& in, const T* dy,
                        const AttentionGradients<T>& out) {
  const int64_t width = g.width();
  if (g.M > 0) std::fill_n(out.dmemory, 2 * g.M * width, T(0));
  const auto gradient_at = [&](int part, int64_t b, int64_t h, int64_t j) {
    if (j < g.M) return out.dmemory + (part * g.M + j) * width + h * g.d;
    return (part == 0 ? out.dk : out.dv) + (b * g.Lk + j - g.M) * g.kv_stride + h * g.d;
  };
  std::vector<T> p(static_cast<size_t>(g.keys())), dp(p.size());
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h) {
      for (int64_t j = g.M; j < g.keys(); ++j)
        for (int part : {0, 1}) std::fill_n(gradient_at(part, b, h, j), g.d, T(0));
      for (int64_t i = 0; i < g.Lq; ++i) {
        const T* q = in.q + (b * g.Lq + i) * g.q_stride + h * g.d;
        const T* gradient = dy + (b * g.Lq + i) * width + h * g.d;
        T* dq = out.dq + (b * g.Lq + i) * g.q_stride + h * g.d;
        std::fill_n(dq, g.d, T(0));
        probabilities(g, in, b, h, q, p);
        T mean = 0;
        for (int64_t j = 0; j < g.keys(); ++j) {
          const T* v = key_at(g, in, 1, b, h, j);
          T* dv = gradient_at(1, b, h, j);
          T sum = 0;
          for (int64_t c = 0; c < g.d; ++c) {
            sum += gradient[c] * v[c];
            dv[c] += p[size_t(j)] * gradient[c];
          }
          dp[size_t(j)] = sum;
          mean += p[size_t(j)] * sum;
        }
        for (int64_t j = 0; j < g.keys(); ++j) {
          const T ds = p[size_t(j)] * (dp[size_t(j)] - mean) * T(g.scale);
          const T* k = key_at(g, in, 0, b, h, j);
          T* dk = gradient_at(0, b, h, j);
          for (int64_t c = 0; c < g.d; ++c) {
            dq[c] += ds * k[c];
            dk[c] += ds * q[c];
          }
        }
      }
    }
}

template decltype(attention_forward<float>) attention_forward<float>;
template decltype(attention_forward<double>) attention_forward<double>;
template decltype(attention_backward<float>) attention_backward<float>;
template decltype(attention_backward<double>) attention_backward<double>;

}  // namespace echodiff::reference
