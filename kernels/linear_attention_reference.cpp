#include "kernels/linear_attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace echodiff::reference {
namespace {

// qs = scale softmax(q)
template <class T> void query_softmax(const AttentionGeometry& g, const T* q, T* qs) {
  const T most = *std::max_element(q, q + g.d);
  T sum = 0;
  for (int64_t c = 0; c < g.d; ++c) sum += qs[c] = std::exp(q[c] - most);
  for (int64_t c = 0; c < g.d; ++c) qs[c] *= T(g.scale) / sum;
}

}  // namespace

template <class T>
void linear_attention_forward(const AttentionGeometry& g, const AttentionInputs<T>& in,
                              const LinearAttentionState<T>& state, T* y) {
  std::vector<T> qs(static_cast<size_t>(g.d));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h) {
      const int64_t piece = b * g.heads + h;
      T *largest = state.largest + piece * g.d, *total = state.total + piece * g.d,
        *C = state.context + piece * g.d * g.d;
      std::copy_n(key_at(g, in, 0, b, h, 0), g.d, largest);
      for (int64_t j = 1; j < g.keys(); ++j)
        for (int64_t c = 0; c < g.d; ++c) largest[c] = std::max(largest[c], key_at(g, in, 0, b, h, j)[c]);
      std::fill_n(total, g.d, T(0));
      std::fill_n(C, g.d * g.d, T(0));
      for (int64_t j = 0; j < g.keys(); ++j) {
        const T *k = key_at(g, in, 0, b, h, j), *v = key_at(g, in, 1, b, h, j);
        for (int64_t c = 0; c < g.d; ++c) {
          const T weight = std::exp(k[c] - largest[c]);
          total[c] += weight;
          for (int64_t e = 0; e < g.d; ++e) C[c * g.d + e] += weight * v[e];
        }
      }
      for (int64_t c = 0; c < g.d; ++c)
        for (int64_t e = 0; e < g.d; ++e) C[c * g.d + e] /= total[c];
      for (int64_t i = 0; i < g.Lq; ++i) {
        query_softmax(g, in.q + (b * g.Lq + i) * g.q_stride + h * g.d, qs.data());
        T* out = y + (b * g.Lq + i) * g.width() + h * g.d;
        std::fill_n(out, g.d, T(0));
        for (int64_t c = 0; c < g.d; ++c)
          for (int64_t e = 0; e < g.d; ++e) out[e] += qs[size_t(c)] * C[c * g.d + e];
      }
    }
}

// dqs = dy context^T;  dcontext = qs^T dy;  dks = v dcontext^T;  dv = ks dcontext; then through both softmaxes:
// dq_c = qs_c (dqs_c - sum_c qs_c dqs_c / scale)
// dk_jc = ks_jc (dks_jc - m_c), m_c = sum_j ks_jc dks_jc = dcontext_c . context_c
template <class T>
void linear_attention_backward(const AttentionGeometry& g, const AttentionInputs<T>& in,
                               const LinearAttentionState<const T>& state, const T* dy,
                               const AttentionGradients<T>& out) {
  const int64_t d = g.d, width = g.width();
  if (g.M > 0) std::fill_n(out.dmemory, 2 * g.M * width, T(0));
  std::vector<T> qs(static_cast<size_t>(d)), dqs(qs.size()), ks(qs.size()), gradient(static_cast<size_t>(d * d));
  for (int64_t b = 0; b < g.B; ++b)
    for (int64_t h = 0; h < g.heads; ++h) {
      const int64_t piece = b * g.heads + h;
      const T *largest = state.largest + piece * d, *total = state.total + piece * d,
              *C = state.context + piece * d * d;
      std::fill(gradient.begin(), gradient.end(), T(0));
      for (int64_t i = 0; i < g.Lq; ++i) {
        const int64_t at = (b * g.Lq + i) * g.q_stride + h * d;
        const T* row = dy + (b * g.Lq + i) * width + h * d;
        query_softmax(g, in.q + at, qs.data());
        T mean = 0;
        for (int64_t c = 0; c < d; ++c) {
          T sum = 0;
          for (int64_t e = 0; e < d; ++e) {
            sum += row[e] * C[c * d + e];
            gradient[size_t(c * d + e)] += qs[size_t(c)] * row[e];
          }
          dqs[size_t(c)] = sum;
          mean += qs[size_t(c)] * sum / T(g.scale);
        }
        for (int64_t c = 0; c < d; ++c) out.dq[at + c] = qs[size_t(c)] * (dqs[size_t(c)] - mean);
      }
      for (int64_t j = 0; j < g.keys(); ++j) {
        const T *k = key_at(g, in, 0, b, h, j), *v = key_at(g, in, 1, b, h, j);
        const int64_t token = (b * g.Lk + j - g.M) * g.kv_stride + h * d, memory = j * width + h * d;
        for (int64_t c = 0; c < d; ++c) ks[size_t(c)] = std::exp(k[c] - largest[c]) / total[c];
        for (int64_t c = 0; c < d; ++c) {
          T dks = 0, dvalue = 0, mean = 0;
          for (int64_t e = 0; e < d; ++e) {
            dks += gradient[size_t(c * d + e)] * v[e];
            mean += gradient[size_t(c * d + e)] * C[c * d + e];
            dvalue += gradient[size_t(e * d + c)] * ks[size_t(e)];
          }
          const T dkey = ks[size_t(c)] * (dks - mean);
          if (j < g.M) {
            out.dmemory[memory + c] += dkey;
            out.dmemory[g.M * width + memory + c] += dvalue;
          } else {
            out.dk[token + c] = dkey;
            out.dv[token + c] = dvalue;
          }
        }
      }
    }
}

template decltype(linear_attention_forward<float>) linear_attention_forward<float>;
template decltype(linear_attention_forward<double>) linear_attention_forward<double>;
template decltype(linear_attention_backward<float>) linear_attention_backward<float>;
template decltype(linear_attention_backward<double>) linear_attention_backward<double>;

}  // namespace echodiff::reference
