#include "kernels/batch_norm.h"

#include <algorithm>

#include "kernels/scratch.h"
#include "kernels/simd_kernels.h"
#include "kernels/sum_chunks.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {
namespace {

constexpr int64_t kChunk = 64;  // rows

// What the op is per channel, in working memory: y = scale x + offset.
struct Affine {
  double *scale, *offset;
  Affine(int64_t C, const float* weight, const float* bias, const double* mean, const double* rstd)
      : scale(reinterpret_cast<double*>(scratch(Scratch::rows, 4 * C))), offset(scale + C) {
    for (int64_t c = 0; c < C; ++c) {
      scale[c] = rstd[c] * double(weight[c]);
      offset[c] = double(bias[c]) - mean[c] * scale[c];
    }
  }
};

}  // namespace

void batch_norm_statistics(BatchNormGeometry geo, const float* x, double* mean, double* var) {
  const int64_t C = geo.C;
  const SimdKernels& simd = simd_kernels();
  sum_chunks(geo.rows, kChunk, C, mean,
             [&](int64_t row, int64_t rows, float* sums) { simd.column_sums(rows, C, x + row * C, sums); });
  float* center = scratch(Scratch::rows, C);
  for (int64_t c = 0; c < C; ++c) center[c] = float(mean[c] /= double(geo.rows));
  sum_chunks(geo.rows, kChunk, C, var,
             [&](int64_t row, int64_t rows, float* sums) { simd.column_squares(rows, C, x + row * C, center, sums); });
  for (int64_t c = 0; c < C; ++c) {
    const double rounding = mean[c] - double(center[c]);  // squares are about the rounded mean
    var[c] = std::max(0.0, var[c] / double(geo.rows) - rounding * rounding);
  }
}

void batch_norm_forward(BatchNormGeometry geo, const float* x, const float* weight, const float* bias,
                        const double* mean, const double* rstd, float* y) {
  const Affine map(geo.C, weight, bias, mean, rstd);
  parallel_ranges(geo.rows, kChunk, [&](int64_t begin, int64_t end) {
    simd_kernels().column_affine_exact(end - begin, geo.C, x + begin * geo.C, map.scale, map.offset, y + begin * geo.C);
  });
}

void batch_norm_relu_forward(BatchNormGeometry geo, const float* x, const float* weight, const float* bias,
                             const double* mean, const double* rstd, const float* residual, float* y) {
  const Affine map(geo.C, weight, bias, mean, rstd);
  parallel_ranges(geo.rows, kChunk, [&](int64_t begin, int64_t end) {
    const int64_t at = begin * geo.C;
    simd_kernels().column_affine_relu(end - begin, geo.C, x + at, map.scale, map.offset,
                                      residual != nullptr ? residual + at : nullptr, y + at);
  });
}

// The reference's formulas as dx = p dy + q x + r.
void batch_norm_backward(BatchNormGeometry geo, bool training, const float* x, const float* weight, const float* dy,
                         const double* mean, const double* rstd, float* dx, float* dweight, float* dbias) {
  const int64_t C = geo.C;
  const SimdKernels& simd = simd_kernels();
  float* center = scratch(Scratch::rows, 8 * C);  // then p, q, r; and the totals, in double
  float *p = center + C, *q = p + C, *r = q + C;
  double* totals = reinterpret_cast<double*>(r + C);  // sum dy | sum dy (x - center)
  for (int64_t c = 0; c < C; ++c) center[c] = float(mean[c]);
  sum_chunks(geo.rows, kChunk, 2 * C, totals, [&](int64_t row, int64_t rows, float* sums) {
    simd.column_products(rows, C, dy + row * C, x + row * C, center, sums, sums + C);
  });
  for (int64_t c = 0; c < C; ++c) {
    const double sum = totals[c], sum_xhat = rstd[c] * (totals[C + c] - (mean[c] - double(center[c])) * sum);
    const double a = double(weight[c]) * rstd[c], slope = training ? -a * rstd[c] * sum_xhat / double(geo.rows) : 0;
    p[c] = float(a);
    q[c] = float(slope);
    r[c] = float((training ? -a * sum / double(geo.rows) : 0) - slope * mean[c]);
    if (dweight) dweight[c] = float(sum_xhat);
    if (dbias) dbias[c] = float(sum);
  }
  if (dx == nullptr) return;
  parallel_ranges(geo.rows, kChunk, [&](int64_t begin, int64_t end) {
    simd.column_combine(end - begin, C, dy + begin * C, x + begin * C, p, q, r, dx + begin * C);
  });
}

}  // namespace echodiff::cpu
