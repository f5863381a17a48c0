#pragma once

#include "kernels/simd.h"

namespace echodiff::simd::ECHODIFF_ISA {

void silu_forward(int64_t n, const float* x, float* y) {
  for_vectors(n, [=](auto load, auto store) { store(y, silu(load(x))); });
}

void silu_backward(int64_t n, const float* x, const float* dy, float* dx) {
  for_vectors(n, [=](auto load, auto store) { store(dx, load(dy) * silu_slope(load(x))); });
}

void relu_forward(int64_t n, const float* x, float* y) {
  for_vectors(n, [=](auto load, auto store) {
    const Vec v = load(x);
    store(y, select(v <= Vec{}, Vec{}, v));  // a NaN stays one
  });
}

void relu_backward(int64_t n, const float* x, const float* dy, float* dx) {
  for_vectors(n, [=](auto load, auto store) { store(dx, select(load(x) <= Vec{}, Vec{}, load(dy))); });
}

}  // namespace echodiff::simd::ECHODIFF_ISA
