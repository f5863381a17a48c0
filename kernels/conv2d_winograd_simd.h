// The transforms of conv2d_winograd.h, on n channels at a time. Each is the same one-dimensional transform applied to
// the columns, then to the rows. Interpolation points 0, 1, -1, 2, -2 and infinity.
#pragma once

#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {
namespace {

// out[0..5] = B^T in[0..5]
__attribute__((always_inline)) inline void input_transform(const Vec* in, int from, Vec* out, int to) {
  const Vec d0 = in[0], d1 = in[from], d2 = in[2 * from], d3 = in[3 * from], d4 = in[4 * from], d5 = in[5 * from];
  const Vec even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1, far = d4 - d2, twice = 2.0f * (d3 - d1);
  out[0] = 4.0f * d0 - 5.0f * d2 + d4;
  out[to] = even + odd;
  out[2 * to] = even - odd;
  out[3 * to] = far + twice;
  out[4 * to] = far - twice;
  out[5 * to] = 4.0f * d1 - 5.0f * d3 + d5;
}

// out[0..3] = A^T in[0..5]
__attribute__((always_inline)) inline void output_transform(const Vec* in, int from, Vec* out, int to) {
  const Vec m5 = in[5 * from];
  const Vec sum1 = in[from] + in[2 * from], difference1 = in[from] - in[2 * from];
  const Vec sum2 = in[3 * from] + in[4 * from], difference2 = in[3 * from] - in[4 * from];
  out[0] = in[0] + sum1 + sum2;
  out[to] = difference1 + 2.0f * difference2;
  out[2 * to] = sum1 + 4.0f * sum2;
  out[3 * to] = difference1 + 8.0f * difference2 + m5;
}

// out[0..5] = A in[0..3]
__attribute__((always_inline)) inline void output_adjoint(const Vec* in, int from, Vec* out, int to) {
  const Vec y0 = in[0], y1 = in[from], y2 = in[2 * from], y3 = in[3 * from];
  const Vec even = y0 + y2, odd = y1 + y3, even2 = y0 + 4.0f * y2, odd2 = 2.0f * y1 + 8.0f * y3;
  out[0] = y0;
  out[to] = even + odd;
  out[2 * to] = even - odd;
  out[3 * to] = even2 + odd2;
  out[4 * to] = even2 - odd2;
  out[5 * to] = y3;
}

// out[0..5] = G in[0..2]
__attribute__((always_inline)) inline void weight_transform(const Vec* in, int from, Vec* out, int to) {
  const Vec g0 = in[0], g1 = in[from], g2 = in[2 * from];
  const Vec near = (g0 + g2) * (-1.0f / 6), middle = g1 * (1.0f / 6);
  const Vec far = g0 * (1.0f / 24) + g2 * (1.0f / 6), twice = g1 * (1.0f / 12);
  out[0] = g0 * 0.25f;
  out[to] = near - middle;
  out[2 * to] = near + middle;
  out[3 * to] = far + twice;
  out[4 * to] = far - twice;
  out[5 * to] = g2;
}

// out[0..2] = G^T in[0..5]
__attribute__((always_inline)) inline void weight_adjoint(const Vec* in, int from, Vec* out, int to) {
  const Vec sum1 = in[from] + in[2 * from], difference1 = in[2 * from] - in[from];
  const Vec sum2 = in[3 * from] + in[4 * from], difference2 = in[3 * from] - in[4 * from];
  out[0] = in[0] * 0.25f - sum1 * (1.0f / 6) + sum2 * (1.0f / 24);
  out[to] = difference1 * (1.0f / 6) + difference2 * (1.0f / 12);
  out[2 * to] = (sum2 - sum1) * (1.0f / 6) + in[5 * from];
}

// A one-dimensional transform from `in` to `out` values, applied to the columns and then to the rows: load(i, j) gives
// the (in, in) values, store(i, j, v) takes rows [0, rows) of the (out, out) results.
template <int in, int out, class Transform, class Load, class Store>
__attribute__((always_inline)) inline void both_ways(Transform transform, Load load, Store store, int64_t rows = out) {
  Vec half[out * in];
  for (int j = 0; j < in; ++j) {
    Vec column[in];
    for (int i = 0; i < in; ++i) column[i] = load(i, j);
    transform(column, 1, half + j, in);
  }
  for (int i = 0; i < rows; ++i) {
    Vec row[out];
    transform(half + in * i, 1, row, 1);
    for (int j = 0; j < out; ++j) store(i, j, row[j]);
  }
}

}  // namespace

void winograd_input(int64_t n, const float* x, int64_t row, int64_t column, float* v, int64_t frequency) {
  for (int64_t c = 0; c < n; c += kLanes)
    both_ways<6, 6>([](auto... a) { input_transform(a...); },
                    [=](int i, int j) { return load(x + i * row + j * column + c); },
                    [=](int i, int j, Vec value) { store(v + (6 * i + j) * frequency + c, value); });
}

void winograd_output(int64_t n, const float* m, int64_t frequency, const float* bias, float* y, int64_t row,
                     int64_t column, int64_t height, int64_t width) {
  for (int64_t c = 0; c < n; c += kLanes) {
    const Vec b = bias != nullptr ? load(bias + c) : Vec{};
    both_ways<6, 4>([](auto... a) { output_transform(a...); },
                    [=](int i, int j) { return load(m + (6 * i + j) * frequency + c); },
                    [=](int i, int j, Vec value) {
                      if (j < width) store(y + i * row + j * column + c, value + b);
                    },
                    height);
  }
}

void winograd_output_gradient(int64_t n, const float* dy, int64_t row, int64_t column, float* z, int64_t frequency) {
  for (int64_t c = 0; c < n; c += kLanes)
    both_ways<4, 6>([](auto... a) { output_adjoint(a...); },
                    [=](int i, int j) { return load(dy + i * row + j * column + c); },
                    [=](int i, int j, Vec value) { store(z + (6 * i + j) * frequency + c, value); });
}

void winograd_weight(int64_t n, const float* w, int64_t tap, float* u, int64_t frequency) {
  for (int64_t c = 0; c < n; c += kLanes)
    both_ways<3, 6>([](auto... a) { weight_transform(a...); },
                    [=](int i, int j) { return load(w + (3 * i + j) * tap + c); },
                    [=](int i, int j, Vec value) { store(u + (6 * i + j) * frequency + c, value); });
}

void winograd_weight_gradient(int64_t n, const float* u, int64_t frequency, float* dw, int64_t tap) {
  for (int64_t c = 0; c < n; c += kLanes)
    both_ways<6, 3>([](auto... a) { weight_adjoint(a...); },
                    [=](int i, int j) { return load(u + (6 * i + j) * frequency + c); },
                    [=](int i, int j, Vec value) { store(dw + (3 * i + j) * tap + c, value); });
}

}  // namespace echodiff::simd::ECHODIFF_ISA
