// y = f(x), element by element, with PyTorch's definitions. Finite x gives finite y and gradients, |x| = 1e30 included.
//   silu        x sigmoid(x)                        Elfwing et al. 2017 (arXiv:1702.03118)
//   gelu        x Phi(x); gelu_tanh: its tanh form   Hendrycks & Gimpel 2016 (arXiv:1606.08415)
//   softplus    log(1 + exp(x)), without PyTorch's switch to x above 20 (they differ by 2e-9 there)
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

enum class Activation { silu, relu, gelu, gelu_tanh, sigmoid, tanh, softplus, leaky_relu, exp };

namespace reference {

// slope: of leaky_relu below zero; the others ignore it.
template <class T> void activation_forward(Activation kind, double slope, int64_t n, const T* x, T* y);

// dx = f'(x) dy. The derivative of relu and leaky_relu at 0 is the one from below.
template <class T> void activation_backward(Activation kind, double slope, int64_t n, const T* x, const T* dy, T* dx);

}  // namespace reference

namespace cpu {

// silu and relu in float by SIMD loops; all else is the reference.
using reference::activation_backward;
using reference::activation_forward;
void activation_forward(Activation kind, double slope, int64_t n, const float* x, float* y);
void activation_backward(Activation kind, double slope, int64_t n, const float* x, const float* dy, float* dx);

}  // namespace cpu

namespace cuda {
template <class T> void activation_forward(Activation kind, double slope, int64_t n, const T* x, T* y, Stream);
template <class T>
void activation_backward(Activation kind, double slope, int64_t n, const T* x, const T* dy, T* dx, Stream);
}  // namespace cuda
}  // namespace echodiff
