// Loops over rows of channels: a row is what a channels-last picture stores per pixel.
#pragma once

#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

float dot(int64_t n, const float* a, const float* b) {
  Vec sum{};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) sum += load(a + i) * load(b + i);
  sum += load_part(a + i, n - i) * load_part(b + i, n - i);
  return horizontal_sum(sum);
}

void softmax_row(int64_t n, float scale, float factor, const float* x, float* y) {
  float max = scale * x[0];
  int64_t i = 0;
  if (n >= kLanes) {
    Vec most = scale * load(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) {
      const Vec v = scale * load(x + i);
      most = select(v > most, v, most);
    }
    max = horizontal_max(most);
  }
  for (; i < n; ++i) max = scale * x[i] > max ? scale * x[i] : max;
  Vec sum{};
  for (i = 0; i + kLanes <= n; i += kLanes) {
    const Vec e = exp(scale * load(x + i) - max);
    sum += e;
    store(y + i, e);
  }
  float tail = 0;
  if (i < n) {
    const Vec e = exp(scale * load_part(x + i, n - i) - max);
    for (int64_t j = 0; j < n - i; ++j) tail += e[j];
    store_part(y + i, e, n - i);
  }
  const float share = factor / (horizontal_sum(sum) + tail);
  for (i = 0; i < n; ++i) y[i] *= share;
}

void softmax_row_backward(int64_t n, const float* y, const float* dy, float weight, float factor, float* dx) {
  const float mean = weight * dot(n, y, dy);
  for (int64_t i = 0; i < n; ++i) dx[i] = factor * y[i] * (dy[i] - mean);
}

void column_max(int64_t rows, int64_t n, int64_t stride, const float* x, float* __restrict largest) {
  for (int64_t i = 0; i < rows; ++i, x += stride)
    for (int64_t j = 0; j < n; ++j) largest[j] = x[j] > largest[j] ? x[j] : largest[j];
}

void column_exp(int64_t rows, int64_t n, int64_t stride, const float* x, const float* largest, const float* factor,
                float* y) {
  for (int64_t i = 0; i < rows; ++i, x += stride, y += n) {
    int64_t j = 0;
    for (; j + kLanes <= n; j += kLanes) store(y + j, load(factor + j) * exp(load(x + j) - load(largest + j)));
    if (j < n) {
      const int64_t rest = n - j;
      store_part(y + j, load_part(factor + j, rest) * exp(load_part(x + j, rest) - load_part(largest + j, rest)), rest);
    }
  }
}

void product_of_difference(int64_t n, const float* a, const float* b, const float* mean, float* __restrict y) {
  for (int64_t j = 0; j < n; ++j) y[j] = a[j] * (b[j] - mean[j]);
}

void column_sums(int64_t rows, int64_t n, const float* x, float* __restrict sums) {
  for (int64_t i = 0; i < rows; ++i, x += n)
    for (int64_t j = 0; j < n; ++j) sums[j] += x[j];
}

void column_squares(int64_t rows, int64_t n, const float* x, const float* mean, float* __restrict squares) {
  for (int64_t i = 0; i < rows; ++i, x += n)
    for (int64_t j = 0; j < n; ++j) squares[j] += (x[j] - mean[j]) * (x[j] - mean[j]);
}

void column_products(int64_t rows, int64_t n, const float* dy, const float* x, const float* mean,
                     float* __restrict sum_dy, float* __restrict sum_dy_x) {
  for (int64_t i = 0; i < rows; ++i, x += n, dy += n)
    for (int64_t j = 0; j < n; ++j) {
      sum_dy[j] += dy[j];
      sum_dy_x[j] += dy[j] * (x[j] - mean[j]);
    }
}

void column_affine(int64_t rows, int64_t n, const float* x, const float* scale, const float* offset,
                   float* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, x += n, y += n)
    for (int64_t j = 0; j < n; ++j) y[j] = scale[j] * x[j] + offset[j];
}

void column_affine_exact(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset,
                         float* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, x += n, y += n)
    for (int64_t j = 0; j < n; ++j) y[j] = float(scale[j] * double(x[j]) + offset[j]);
}

void column_affine_relu(int64_t rows, int64_t n, const float* x, const double* scale, const double* offset,
                        const float* residual, float* __restrict y) {
  for (int64_t i = 0; i < rows; ++i, x += n, y += n) {
    for (int64_t j = 0; j < n; ++j) {
      const float z = float(scale[j] * double(x[j]) + offset[j]) + (residual != nullptr ? residual[i * n + j] : 0.0f);
      y[j] = z <= 0 ? 0.0f : z;
    }
  }
}

void column_combine(int64_t rows, int64_t n, const float* a, const float* b, const float* p, const float* q,
                    const float* r, float* y) {
  for (int64_t i = 0; i < rows; ++i, a += n, b += n, y += n)
    for_vectors(n, [=](auto load, auto store) { store(y, load(p) * load(a) + load(q) * load(b) + load(r)); });
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
