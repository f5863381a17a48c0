// Loops over rows of channels: a row is what a channels-last picture stores per pixel.
#include "kernels/simd_tables.h"

namespace echodiff::simd::ECHODIFF_ISA {

float dot(int64_t n, const float* a, const float* b) {
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += load(a + i) * load(b + i);
  sum += load_part(a + i, n - i) * load_part(b + i, n - i);
  return horizontal_sum(sum);
}

void softmax_row(int64_t n, const float* x, float* y) {
  float max = x[0];
  int64_t i = 0;
  if (n >= kLanes) {
    Vec most = load(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Vec v = load(x + i);
      most = select(v > most, v, most);
    }
    max = horizontal_max(most);
  }
  for (; i < n; ++i) max = x[i] > max ? x[i] : max;
  Vec sum{};
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Vec e = exp(load(x + i) - max);
    sum += e;
    store(y + i, e);
  }
  float tail = 0;
  if (i < n) {
    const Vec e = exp(load_part(x + i, n - i) - max);
    for (int64_t j = 0; j < n - i; ++j) tail += e[j];
    store_part(y + i, e, n - i);
  }
  const float scale = 1.0f / (horizontal_sum(sum) + tail);
  for (i = 0; i < n; ++i) y[i] *= scale;
}

void column_softmax(int64_t rows, int64_t n, int64_t stride, const float* x, float* y) {
  for (int64_t j = 0; j < n; j += kLanes) {
    const int64_t lanes = n - j < kLanes ? n - j : kLanes;
    const auto at = [=](const float* p, int64_t i) {
      return lanes == kLanes ? load(p + i * stride + j) : load_part(p + i * stride + j, lanes);
    };
    const auto put = [=](float* p, int64_t i, Vec v) {
      lanes == kLanes ? store(p + i * stride + j, v) : store_part(p + i * stride + j, v, lanes);
    };
    Vec most = at(x, 0), sum{};
    for (int64_t i = 1; i < rows; ++i) {
      const Vec v = at(x, i);
      most = select(v > most, v, most);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const Vec e = exp(at(x, i) - most);
      sum += e;
      put(y, i, e);
    }
    const Vec scale = 1.0f / sum;
    for (int64_t i = 0; i < rows; ++i) put(y, i, at(y, i) * scale);
  }
}

void column_sums(int64_t rows, int64_t n, const float* x, float* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i, x += n)
    for (int64_t j = 0; j < n; ++j) sums[j] += x[j];
}

void column_squares(int64_t rows, int64_t n, const float* x, const float* mean, float* __restrict squares) {
  for (int64_t i = 0; i < rows; ++i, x += n)
    for (int64_t j = 0; j < n; ++j) squares[j] += (x[j] - mean[j]) * (x[j] - mean[j]);
}

void column_products(int64_t rows, int64_t n, const float* dy, const float* x, const float* mean, float* __restrict sum_dy,
                     float* __restrict sum_dy_x) {
  for (int64_t i = 0; i < rows; ++i, x += n, dy += n)
    for (int64_t j = 0; j < n; ++j) {
      sum_dy[j] += dy[j];
      sum_dy_x[j] += dy[j] * (x[j] - mean[j]);
    }
}

void column_affine(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset, float* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, x += n, y += n)
    for (int64_t j = 0; j < n; ++j) y[j] = scale[j] * x[j] + offset[j];
}

void column_combine(int64_t rows, int64_t n, const float* a, const float* b, const float* p, const float* q, const float* r,
                    float* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, a += n, b += n, y += n)
    for (int64_t j = 0; j < n; ++j) y[j] = p[j] * a[j] + q[j] * b[j] + r[j];
}

void scaled_product(int64_t n, const float* x, const float* w, float factor, float* __restrict y) {
  for (int64_t j = 0; j < n; ++j) y[j] = factor * x[j] * w[j];
}

void rms_pixel_backward(int64_t n, const float* x, const float* dy, const float* w, float p, float q, float s,
                        float* __restrict dx, float* __restrict dw) {
  for (int64_t j = 0; j < n; ++j) {
    dx[j] = p * dy[j] * w[j] + q * x[j];
    dw[j] += s * dy[j] * x[j];
  }
}

}  // namespace echodiff::simd::ECHODIFF_ISA
