// Sums run along the channels of each pixel (contiguous), in chunks of kChunk pixels that are added in order, in double.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/group_norm.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kChunk = 64;

// total[c] = sum over chunks of what `add` puts into a zeroed float row per chunk.
template <class Add>
void sum_chunks(int64_t pixels, int64_t C, double* total, Add&& add) {
  std::vector<float> row(size_t(C), 0.0f);
  for (int64_t p = 0; p < pixels; p += kChunk) {
    std::fill(row.begin(), row.end(), 0.0f);
    add(p, std::min(kChunk, pixels - p), row.data());
    for (int64_t c = 0; c < C; ++c) total[c] += double(row[size_t(c)]);
  }
}

}  // namespace

void group_norm_forward(const GroupNormGeometry& g, const float* x, const float* weight, const float* bias, double eps, float* y,
                        float* mean, float* rstd) {
  const SimdKernels& simd = simd_kernels();
  const int64_t C = g.C, width = C / g.G;
  const double M = double(g.pixels * width);
  parallel_for(g.N, [&](int64_t n) {
    const float* image = x + n * g.pixels * C;
    std::vector<double> sums(size_t(C), 0.0), squares(size_t(C), 0.0);
    std::vector<float> center(static_cast<size_t>(C)), scale(static_cast<size_t>(C)), offset(static_cast<size_t>(C));
    sum_chunks(g.pixels, C, sums.data(),
               [&](int64_t p, int64_t rows, float* row) { simd.column_sums(rows, C, image + p * C, row); });
    for (int64_t group = 0; group < g.G; ++group) {
      double sum = 0;
      for (int64_t c = group * width; c < (group + 1) * width; ++c) sum += sums[size_t(c)];
      mean[n * g.G + group] = float(sum / M);
      std::fill_n(center.begin() + group * width, width, float(sum / M));
    }
    sum_chunks(g.pixels, C, squares.data(), [&](int64_t p, int64_t rows, float* row) {
      simd.column_squares(rows, C, image + p * C, center.data(), row);
    });
    for (int64_t group = 0; group < g.G; ++group) {
      // squares about the rounded mean; the exact variance is less by the rounding's square
      double square = 0, sum = 0;
      for (int64_t c = group * width; c < (group + 1) * width; ++c) square += squares[size_t(c)], sum += sums[size_t(c)];
      const double m = sum / M, rounding = m - double(mean[n * g.G + group]);
      const double r = 1 / std::sqrt(std::max(0.0, square / M - rounding * rounding) + eps);
      rstd[n * g.G + group] = float(r);
      for (int64_t c = group * width; c < (group + 1) * width; ++c) {
        scale[size_t(c)] = float(r * double(weight[c]));
        offset[size_t(c)] = float(double(bias[c]) - m * r * double(weight[c]));
      }
    }
    simd.column_affine(g.pixels, C, image, scale.data(), offset.data(), y + n * g.pixels * C);
  });
}

// The reference's formulas, sorted by what varies per pixel: dx = p dy + q x + r with p, q, r per (sample, channel).
void group_norm_backward(const GroupNormGeometry& g, const float* x, const float* weight, const float* mean, const float* rstd,
                         const float* dy, float* dx, float* dweight, float* dbias) {
  const SimdKernels& simd = simd_kernels();
  const int64_t C = g.C, width = C / g.G;
  const double M = double(g.pixels * width);
  std::vector<double> weight_sums(size_t(g.N * C), 0.0), bias_sums(size_t(g.N * C), 0.0);
  parallel_for(g.N, [&](int64_t n) {
    const float* image = x + n * g.pixels * C;
    const float* gradient = dy + n * g.pixels * C;
    double* sum_dy = bias_sums.data() + n * C;
    double* sum_dy_x = weight_sums.data() + n * C;  // becomes sum dy xhat
    std::vector<float> center(static_cast<size_t>(C)), rows_dy(static_cast<size_t>(C)), p(static_cast<size_t>(C)),
        q(static_cast<size_t>(C)), r(static_cast<size_t>(C));
    for (int64_t c = 0; c < C; ++c) center[size_t(c)] = mean[n * g.G + c / width];
    sum_chunks(g.pixels, C, sum_dy_x, [&](int64_t pixel, int64_t rows, float* row) {
      std::fill(rows_dy.begin(), rows_dy.end(), 0.0f);
      simd.column_products(rows, C, gradient + pixel * C, image + pixel * C, center.data(), rows_dy.data(), row);
      for (int64_t c = 0; c < C; ++c) sum_dy[c] += double(rows_dy[size_t(c)]);
    });
    for (int64_t group = 0; group < g.G; ++group) {
      const double m = double(mean[n * g.G + group]), s = double(rstd[n * g.G + group]);
      double sum_g = 0, sum_g_xhat = 0;
      for (int64_t c = group * width; c < (group + 1) * width; ++c) {
        sum_dy_x[c] *= s;
        sum_g += double(weight[c]) * sum_dy[c];
        sum_g_xhat += double(weight[c]) * sum_dy_x[c];
      }
      for (int64_t c = group * width; c < (group + 1) * width; ++c) {
        p[size_t(c)] = float(s * double(weight[c]));
        q[size_t(c)] = float(-s * s * sum_g_xhat / M);
        r[size_t(c)] = float(-s * sum_g / M + s * s * sum_g_xhat / M * m);
      }
    }
    simd.column_combine(g.pixels, C, gradient, image, p.data(), q.data(), r.data(), dx + n * g.pixels * C);
  });
  for (int64_t c = 0; c < C; ++c) {
    double w = 0, b = 0;
    for (int64_t n = 0; n < g.N; ++n) w += weight_sums[size_t(n * C + c)], b += bias_sums[size_t(n * C + c)];
    dweight[c] = float(w);
    dbias[c] = float(b);
  }
}

}  // namespace echodiff::cpu
