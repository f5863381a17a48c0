#include <algorithm>

#include "kernels/conv2d.h"

namespace echodiff::reference {
namespace {

// Calls visit(x offset of channel 0 of the group, y offset, weight offset, k) for every (pixel, output channel, tap)
// whose sample lies in the picture. The three passes differ only in which of the three arrays they write.
template <class Visit> void for_each_tap(const Conv2dGeometry& g, Visit&& visit) {
  const int64_t C = g.C / g.groups, K = g.K / g.groups;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t i = 0; i < g.out_height; ++i)
      for (int64_t j = 0; j < g.out_width; ++j)
        for (int64_t k = 0; k < g.K; ++k)
          for (int64_t r = 0; r < g.R; ++r)
            for (int64_t s = 0; s < g.S; ++s) {
              const int64_t h = i * g.stride_h - g.padding_h + r * g.dilation_h;
              const int64_t w = j * g.stride_w - g.padding_w + s * g.dilation_w;
              if (h < 0 || h >= g.H || w < 0 || w >= g.W) continue;
              visit(((n * g.H + h) * g.W + w) * g.C + k / K * C, ((n * g.out_height + i) * g.out_width + j) * g.K + k,
                    ((k * g.R + r) * g.S + s) * C);
            }
}

}  // namespace

template <class T> void conv2d_forward(const Conv2dGeometry& g, const T* x, const T* w, const T* bias, T* y) {
  const int64_t pixels = g.N * g.out_height * g.out_width, C = g.C / g.groups;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t k = 0; k < g.K; ++k) y[p * g.K + k] = bias ? bias[k] : T(0);
  for_each_tap(g, [&](int64_t at_x, int64_t at_y, int64_t at_w) {
    for (int64_t c = 0; c < C; ++c) y[at_y] += x[at_x + c] * w[at_w + c];
  });
}

template <class T> void conv2d_backward_data(const Conv2dGeometry& g, const T* dy, const T* w, const T* bias, T* dx) {
  const int64_t pixels = g.N * g.H * g.W, C = g.C / g.groups;
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t c = 0; c < g.C; ++c) dx[p * g.C + c] = bias ? bias[c] : T(0);
  for_each_tap(g, [&](int64_t at_x, int64_t at_y, int64_t at_w) {
    for (int64_t c = 0; c < C; ++c) dx[at_x + c] += dy[at_y] * w[at_w + c];
  });
}

template <class T> void conv2d_backward_weight(const Conv2dGeometry& g, const T* x, const T* dy, T* dw) {
  const int64_t C = g.C / g.groups;
  std::fill_n(dw, g.K * g.R * g.S * C, T(0));
  for_each_tap(g, [&](int64_t at_x, int64_t at_y, int64_t at_w) {
    for (int64_t c = 0; c < C; ++c) dw[at_w + c] += dy[at_y] * x[at_x + c];
  });
}

template <class T> void conv2d_backward_bias(int64_t pixels, int64_t K, const T* dy, T* db) {
  std::fill_n(db, K, T(0));
  for (int64_t p = 0; p < pixels; ++p)
    for (int64_t k = 0; k < K; ++k) db[k] += dy[p * K + k];
}

template decltype(conv2d_forward<float>) conv2d_forward<float>;
template decltype(conv2d_forward<double>) conv2d_forward<double>;
template decltype(conv2d_backward_data<float>) conv2d_backward_data<float>;
template decltype(conv2d_backward_data<double>) conv2d_backward_data<double>;
template decltype(conv2d_backward_weight<float>) conv2d_backward_weight<float>;
template decltype(conv2d_backward_weight<double>) conv2d_backward_weight<double>;
template decltype(conv2d_backward_bias<float>) conv2d_backward_bias<float>;
template decltype(conv2d_backward_bias<double>) conv2d_backward_bias<double>;

}  // namespace echodiff::reference
