#include "kernels/layer_norm.h"

#include <cmath>
#include <vector>

#include "kernels/grain.h"
#include "kernels/reduce.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {

template <class T>
void layer_norm_forward(LayerNormGeometry geo, const T* x, const T* weight, const T* bias, double eps, T* y,
                        double* mean, double* rstd) {
  const int64_t D = geo.D;
  parallel_ranges(geo.rows, row_grain(D), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* in = x + row * D;
      T* out = y + row * D;
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < D; ++i) sum += double(in[i]);
      const double m = sum / double(D);
      for (int64_t i = 0; i < D; ++i) squares += (double(in[i]) - m) * (double(in[i]) - m);
      const double r = 1 / std::sqrt(squares / double(D) + eps);
      for (int64_t i = 0; i < D; ++i) {
        const double normalised = (double(in[i]) - m) * r;
        out[i] = T(normalised * (weight ? double(weight[i]) : 1.0) + (bias ? double(bias[i]) : 0.0));
      }
      mean[row] = m;
      rstd[row] = r;
    }
  });
}

// With xhat = (x - mean) rstd and g = dy weight: dx = rstd (g - mean(g) - xhat mean(g xhat)), means over the row.
template <class T>
void layer_norm_backward(LayerNormGeometry geo, const T* x, const T* weight, const T* dy, const double* mean,
                         const double* rstd, T* dx, T* dweight, T* dbias) {
  const int64_t D = geo.D;
  if (dx) {
    parallel_ranges(geo.rows, row_grain(D), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T *in = x + row * D, *gradient = dy + row * D;
        double sum_g = 0, sum_gx = 0;
        for (int64_t i = 0; i < D; ++i) {
          const double g = double(gradient[i]) * (weight ? double(weight[i]) : 1.0);
          sum_g += g;
          sum_gx += g * (double(in[i]) - mean[row]) * rstd[row];
        }
        const double mean_g = sum_g / double(D), mean_gx = sum_gx / double(D);
        for (int64_t i = 0; i < D; ++i) {
          const double g = double(gradient[i]) * (weight ? double(weight[i]) : 1.0);
          const double xhat = (double(in[i]) - mean[row]) * rstd[row];
          dx[row * D + i] = T(rstd[row] * (g - mean_g - xhat * mean_gx));
        }
      }
    });
  }
  if (!dweight && !dbias) return;
  std::vector<double> totals(size_t(2 * D));  // dweight | dbias
  sum_rows(
      geo.rows, 2 * D,
      [&](int64_t begin, int64_t end, double* sums) {
        for (int64_t row = begin; row < end; ++row) {
          for (int64_t i = 0; i < D; ++i) {
            const double g = double(dy[row * D + i]);
            sums[i] += g * (double(x[row * D + i]) - mean[row]) * rstd[row];
            sums[D + i] += g;
          }
        }
      },
      totals.data());
  for (int64_t i = 0; i < D; ++i) {
    if (dweight) dweight[i] = T(totals[size_t(i)]);
    if (dbias) dbias[i] = T(totals[size_t(D + i)]);
  }
}

template decltype(layer_norm_forward<float>) layer_norm_forward<float>;
template decltype(layer_norm_forward<double>) layer_norm_forward<double>;
template decltype(layer_norm_backward<float>) layer_norm_backward<float>;
template decltype(layer_norm_backward<double>) layer_norm_backward<double>;

}  // namespace echodiff::reference
