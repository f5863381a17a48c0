#include <algorithm>
#include <cmath>

#include "kernels/group_norm.h"

namespace echodiff::reference {

template <class T>
void group_norm_forward(const GroupNormGeometry& g, const T* x, const T* weight, const T* bias, double eps, T* y, T* mean, T* rstd) {
  const int64_t width = g.C / g.G;
  for (int64_t n = 0; n < g.N; ++n)
    for (int64_t group = 0; group < g.G; ++group) {
      const T* from = x + n * g.pixels * g.C + group * width;
      double sum = 0, squares = 0;
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) sum += double(from[p * g.C + c]);
      const double m = sum / double(g.pixels * width);
      for (int64_t p = 0; p < g.pixels; ++p)
        for (int64_t c = 0; c < width; ++c) squares += (double(from[p * g.C + c]) - m) * (double(from[p * g.C + c]) - m);
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
void group_norm_backward(const GroupNormGeometry& g, const T* x, const T* weight, const T* mean, const T* rstd, const T* dy, T* dx,
                         T* dweight, T* dbias) {
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

template void group_norm_forward(const GroupNormGeometry&, const float*, const float*, const float*, double, float*, float*, float*);
template void group_norm_forward(const GroupNormGeometry&, const double*, const double*, const double*, double, double*, double*, double*);
template void group_norm_backward(const GroupNormGeometry&, const float*, const float*, const float*, const float*, const float*, float*,
                                  float*, float*);
template void group_norm_backward(const GroupNormGeometry&, const double*, const double*, const double*, const double*, const double*,
                                  double*, double*, double*);

}  // namespace echodiff::reference
