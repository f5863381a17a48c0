#include "kernels/activation.h"

#include <algorithm>
#include <cmath>

#include "kernels/grain.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {
namespace {

template <class T> constexpr T kInvSqrt2 = T(0.70710678118654752440);
template <class T> constexpr T kInvSqrt2Pi = T(0.39894228040143267794);
template <class T> constexpr T kSqrt2OverPi = T(0.79788456080286535588);
template <class T> constexpr T kGeluCubic = T(0.044715);

// sigmoid(x) without overflow and without losing digits near 0.
template <class T> T sigmoid(T x) {
  const T e = std::exp(-std::abs(x));
  return (x >= 0 ? T(1) : e) / (1 + e);
}

template <class T> T gelu_tanh_inner(T x) { return std::tanh(kSqrt2OverPi<T> * (x + kGeluCubic<T> * x * x * x)); }

template <class T> T gelu_derivative(T x) {
  const T cdf = T(0.5) * std::erfc(-x * kInvSqrt2<T>);
  return cdf + x * kInvSqrt2Pi<T> * std::exp(T(-0.5) * x * x);
}

template <class T> T gelu_tanh_derivative(T x) {
  // Beyond |x| = 20 the second term is exactly 0; clamping keeps x^2 from overflowing into 0 * inf.
  const T t = gelu_tanh_inner(x), c = std::clamp(x, T(-20), T(20));
  return T(0.5) * (1 + t) + T(0.5) * c * (1 - t * t) * kSqrt2OverPi<T> * (1 + 3 * kGeluCubic<T> * c * c);
}

template <class T, class F> void map(int64_t n, const T* x, T* y, F f) {
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

template <class T, class F> void map_gradient(int64_t n, const T* x, const T* dy, T* dx, F derivative) {
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = dy[i] * derivative(x[i]);
  });
}

}  // namespace

template <class T> void activation_forward(Activation kind, double slope, int64_t n, const T* x, T* y) {
  switch (kind) {
    case Activation::silu: return map(n, x, y, [](T v) { return v * sigmoid(v); });
    case Activation::relu: return map(n, x, y, [](T v) { return v <= 0 ? T(0) : v; });  // a NaN stays one
    case Activation::gelu: return map(n, x, y, [](T v) { return T(0.5) * v * std::erfc(-v * kInvSqrt2<T>); });
    case Activation::gelu_tanh: return map(n, x, y, [](T v) { return T(0.5) * v * (1 + gelu_tanh_inner(v)); });
    case Activation::sigmoid: return map(n, x, y, [](T v) { return sigmoid(v); });
    case Activation::tanh: return map(n, x, y, [](T v) { return std::tanh(v); });
    case Activation::softplus:
      return map(n, x, y, [](T v) { return std::log1p(std::exp(-std::abs(v))) + std::max(v, T(0)); });
    case Activation::leaky_relu: return map(n, x, y, [s = T(slope)](T v) { return v > 0 ? v : s * v; });
    case Activation::exp: return map(n, x, y, [](T v) { return std::exp(v); });
  }
}

template <class T> void activation_backward(Activation kind, double slope, int64_t n, const T* x, const T* dy, T* dx) {
  switch (kind) {
    case Activation::silu: return map_gradient(n, x, dy, dx, [](T v) { return sigmoid(v) * (1 + v * sigmoid(-v)); });
    case Activation::relu: return map_gradient(n, x, dy, dx, [](T v) { return v <= 0 ? T(0) : T(1); });
    case Activation::gelu: return map_gradient(n, x, dy, dx, [](T v) { return gelu_derivative(v); });
    case Activation::gelu_tanh: return map_gradient(n, x, dy, dx, [](T v) { return gelu_tanh_derivative(v); });
    case Activation::sigmoid: return map_gradient(n, x, dy, dx, [](T v) { return sigmoid(v) * sigmoid(-v); });
    case Activation::tanh:
      return map_gradient(n, x, dy, dx, [](T v) {
        const T t = std::tanh(v);
        return 1 - t * t;
      });
    case Activation::softplus: return map_gradient(n, x, dy, dx, [](T v) { return sigmoid(v); });
    case Activation::leaky_relu: return map_gradient(n, x, dy, dx, [s = T(slope)](T v) { return v > 0 ? T(1) : s; });
    case Activation::exp: return map_gradient(n, x, dy, dx, [](T v) { return std::exp(v); });
  }
}

template decltype(activation_forward<float>) activation_forward<float>;
template decltype(activation_forward<double>) activation_forward<double>;
template decltype(activation_backward<float>) activation_backward<float>;
template decltype(activation_backward<double>) activation_backward<double>;

}  // namespace echodiff::reference
