#include "kernels/group_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation.h"
#include "kernels/elementwise.h"

namespace echodiff::reference {

template <class T>
void group_norm_forward(const GroupNormGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y,
                        T* mean, T* rstd) {
  const int64_t width = g.C / g.G;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t group = 0; group < g.G; ++group) {
      const T* from = x + n * g.pixels * g.C + group * width;
      double sum = 0, squares = 0;
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) sum += double(from[p * g.C + c]);
      const double m = sum / double(g.pixels * width);
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c)
          squares += (double(from[p * g.C + c]) - m) * (double(from[p * g.C + c]) - m);
      const double r = 1 / std::sqrt(squares / double(g.pixels * width) + eps);
      mean[n * g.G + group] = T(m);
      rstd[n * g.G + group] = T(r);
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) {
          const int64_t channel = group * width + c, at = (n * g.pixels + p) * g.C + channel;
          y[at] = T((double(x[at]) - m) * r * double(weight[channel]) + double(bias[channel]));
        }
    }
}

// With xhat = (x - mean) rstd and g = dy weight, over the M elements of a group:
//   dx = rstd (g - mean(g) - xhat mean(g xhat)),   dweight = sum dy xhat,   dbias = sum dy
template <class T>
void group_norm_backward(const GroupNormGeometry& g, const T* x, const T* weight, const T* mean, const T* rstd,
                         const T* dy, T* dx, T* dweight, T* dbias) {
  const int64_t width = g.C / g.G;
  std::fill_n(dweight, g.C, T(0));
  std::fill_n(dbias, g.C, T(0));
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t group = 0; group < g.G; ++group) {
      const double m = double(mean[n * g.G + group]), r = double(rstd[n * g.G + group]), M = double(g.pixels * width);
      double sum_g = 0, sum_g_xhat = 0;
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) {
          const int64_t channel = group * width + c, at = (n * g.pixels + p) * g.C + channel;
          const double xhat = (double(x[at]) - m) * r;
          sum_g += double(dy[at]) * double(weight[channel]);
          sum_g_xhat += double(dy[at]) * double(weight[channel]) * xhat;
          dweight[channel] += T(double(dy[at]) * xhat);
          dbias[channel] += dy[at];
        }
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) {
          const int64_t channel = group * width + c, at = (n * g.pixels + p) * g.C + channel;
          const double xhat = (double(x[at]) - m) * r;
          dx[at] = T(r * (double(dy[at]) * double(weight[channel]) - sum_g / M - xhat * sum_g_xhat / M));
        }
    }
}

// The composition of the three ops.
template <class T>
void group_norm_silu_forward(const GroupNormGeometry& g, const T* x, const T* weight, const T* bias,
                             const T* modulation, double eps, T* y, T* mean, T* rstd) {
  group_norm_forward(g, x, weight, bias, eps, y, mean, rstd);
  if (modulation != nullptr) scale_shift(ChannelGeometry{g.N, g.pixels, g.C}, y, modulation, false, y);
  activation_forward(Activation::silu, 0, g.N * g.pixels * g.C, y, y);
}

template <class T>
void group_norm_silu_backward(const GroupNormGeometry& g, const T* x, const T* weight, const T* bias,
                              const T* modulation, const T* mean, const T* rstd, const T* dy, T* dx, T* dweight,
                              T* dbias, T* dmodulation) {
  const int64_t count = g.N * g.pixels * g.C, width = g.C / g.G;
  const ChannelGeometry channels{g.N, g.pixels, g.C};
  std::vector<T> h(static_cast<size_t>(count)), z(h.size()), dz(h.size());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t c = i % g.C, group = i / (g.pixels * g.C) * g.G + c / width;
    h[size_t(i)] = (x[i] - mean[group]) * rstd[group] * weight[c] + bias[c];
  }
  z = h;
  if (modulation != nullptr) scale_shift(channels, h.data(), modulation, false, z.data());
  activation_backward(Activation::silu, 0, count, z.data(), dy, dz.data());
  if (modulation != nullptr) {
    scale_shift_backward(channels, h.data(), dz.data(), dmodulation);
    scale_shift(channels, dz.data(), modulation, true, dz.data());
  }
  group_norm_backward(g, x, weight, mean, rstd, dz.data(), dx, dweight, dbias);
}

template decltype(group_norm_silu_forward<float>) group_norm_silu_forward<float>;
template decltype(group_norm_silu_forward<double>) group_norm_silu_forward<double>;
template decltype(group_norm_silu_backward<float>) group_norm_silu_backward<float>;
template decltype(group_norm_silu_backward<double>) group_norm_silu_backward<double>;
template decltype(group_norm_forward<float>) group_norm_forward<float>;
template decltype(group_norm_forward<double>) group_norm_forward<double>;
template decltype(group_norm_backward<float>) group_norm_backward<float>;
template decltype(group_norm_backward<double>) group_norm_backward<double>;

}  // namespace echodiff::reference
