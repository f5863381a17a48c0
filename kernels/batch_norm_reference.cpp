#include "kernels/batch_norm.h"

#include <cmath>

#include <vector>

#include "kernels/grain.h"
#include "kernels/reduce.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {

template <class T> void batch_norm_statistics(BatchNormGeometry geo, const T* x, double* mean, double* var) {
  const int64_t C = geo.C;
  sum_rows(
      geo.rows, C,
      [&](int64_t begin, int64_t end, double* sums) {
        for (int64_t row = begin; row < end; ++row)
          for (int64_t c = 0; c < C; ++c) sums[c] += double(x[row * C + c]);
      },
      mean);
  for (int64_t c = 0; c < C; ++c) mean[c] /= double(geo.rows);
  sum_rows(
      geo.rows, C,
      [&](int64_t begin, int64_t end, double* sums) {
        for (int64_t row = begin; row < end; ++row) {
          for (int64_t c = 0; c < C; ++c) {
            const double centred = double(x[row * C + c]) - mean[c];
            sums[c] += centred * centred;
          }
        }
      },
      var);
  for (int64_t c = 0; c < C; ++c) var[c] /= double(geo.rows);
}

template <class T>
void batch_norm_forward(BatchNormGeometry geo, const T* x, const T* weight, const T* bias, const double* mean,
                        const double* rstd, T* y) {
  const int64_t C = geo.C;
  std::vector<double> scale(static_cast<size_t>(C));
  for (int64_t c = 0; c < C; ++c) scale[size_t(c)] = rstd[c] * double(weight[c]);
  parallel_ranges(geo.rows, row_grain(C), [&](int64_t begin, int64_t end) {
    const double* s = scale.data();
    for (int64_t row = begin; row < end; ++row)
      for (int64_t c = 0; c < C; ++c) y[row * C + c] = T((double(x[row * C + c]) - mean[c]) * s[c] + double(bias[c]));
  });
}

template <class T>
void batch_norm_relu_forward(BatchNormGeometry geo, const T* x, const T* weight, const T* bias, const double* mean,
                             const double* rstd, const T* residual, T* y) {
  batch_norm_forward(geo, x, weight, bias, mean, rstd, y);
  for (int64_t i = 0; i < geo.rows * geo.C; ++i) {
    const T z = y[i] + (residual != nullptr ? residual[i] : T(0));
    y[i] = z <= 0 ? T(0) : z;
  }
}

// With xhat = (x - mean) rstd: dbias = sum dy, dweight = sum dy xhat, dx = weight rstd (dy - dbias/n - xhat dweight/n);
// in evaluation the statistics are constants, and the last two terms of dx are not there.
template <class T>
void batch_norm_backward(BatchNormGeometry geo, bool training, const T* x, const T* weight, const T* dy,
                         const double* mean, const double* rstd, T* dx, T* dweight, T* dbias) {
  const int64_t C = geo.C;
  std::vector<double> totals(size_t(2 * C));  // dweight | dbias
  if (dweight || dbias || training) {
    sum_rows(
        geo.rows, 2 * C,
        [&](int64_t begin, int64_t end, double* sums) {
          for (int64_t row = begin; row < end; ++row) {
            for (int64_t c = 0; c < C; ++c) {
              const double g = double(dy[row * C + c]);
              sums[c] += g * (double(x[row * C + c]) - mean[c]) * rstd[c];
              sums[C + c] += g;
            }
          }
        },
        totals.data());
  }
  if (dx) {
    // dx = dy a + (x - mean) b + d, with a, b and d per channel
    std::vector<double> a(static_cast<size_t>(C)), b(static_cast<size_t>(C)), d(static_cast<size_t>(C));
    for (size_t c = 0; c < size_t(C); ++c) {
      a[c] = double(weight[c]) * rstd[c];
      b[c] = training ? -a[c] * rstd[c] * totals[c] / double(geo.rows) : 0;
      d[c] = training ? -a[c] * totals[size_t(C) + c] / double(geo.rows) : 0;
    }
    parallel_ranges(geo.rows, row_grain(C), [&](int64_t begin, int64_t end) {
      const double *scale = a.data(), *slope = b.data(), *shift = d.data();
      for (int64_t row = begin; row < end; ++row)
        for (int64_t c = 0, i = row * C; c < C; ++c, ++i)
          dx[i] = T(double(dy[i]) * scale[c] + (double(x[i]) - mean[c]) * slope[c] + shift[c]);
    });
  }
  for (int64_t c = 0; c < C; ++c) {
    if (dweight) dweight[c] = T(totals[size_t(c)]);
    if (dbias) dbias[c] = T(totals[size_t(C + c)]);
  }
}

template <class T>
void batch_norm_track(BatchNormGeometry geo, double momentum, double eps, const double* mean, double* rstd,
                      T* running_mean, T* running_var) {
  const double unbiased = double(geo.rows) / double(geo.rows - 1);
  for (int64_t c = 0; c < geo.C; ++c) {
    running_mean[c] = T((1 - momentum) * double(running_mean[c]) + momentum * mean[c]);
    running_var[c] = T((1 - momentum) * double(running_var[c]) + momentum * rstd[c] * unbiased);
    rstd[c] = 1 / std::sqrt(rstd[c] + eps);
  }
}

template <class T>
void batch_norm_recall(int64_t C, double eps, const T* running_mean, const T* running_var, double* mean, double* rstd) {
  for (int64_t c = 0; c < C; ++c) {
    mean[c] = double(running_mean[c]);
    rstd[c] = 1 / std::sqrt(double(running_var[c]) + eps);
  }
}

template decltype(batch_norm_track<float>) batch_norm_track<float>;
template decltype(batch_norm_track<double>) batch_norm_track<double>;
template decltype(batch_norm_recall<float>) batch_norm_recall<float>;
template decltype(batch_norm_recall<double>) batch_norm_recall<double>;
template decltype(batch_norm_statistics<float>) batch_norm_statistics<float>;
template decltype(batch_norm_statistics<double>) batch_norm_statistics<double>;
template decltype(batch_norm_forward<float>) batch_norm_forward<float>;
template decltype(batch_norm_forward<double>) batch_norm_forward<double>;
template decltype(batch_norm_relu_forward<float>) batch_norm_relu_forward<float>;
template decltype(batch_norm_relu_forward<double>) batch_norm_relu_forward<double>;
template decltype(batch_norm_backward<float>) batch_norm_backward<float>;
template decltype(batch_norm_backward<double>) batch_norm_backward<double>;

}  // namespace echodiff::reference
