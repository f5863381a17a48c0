#include "kernels/activation.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {
namespace {

constexpr float kInvSqrt2 = 0.70710678118654752440f, kInvSqrt2Pi = 0.39894228040143267794f;
constexpr float kSqrt2OverPi = 0.79788456080286535588f, kGeluCubic = 0.044715f;

__device__ float gelu_tanh_inner(float x) { return tanhf(kSqrt2OverPi * (x + kGeluCubic * x * x * x)); }

__device__ float value(Activation kind, float slope, float x) {
  switch (kind) {
    case Activation::silu: return x * sigmoid(x);
    case Activation::relu: return x <= 0 ? 0 : x;  // a NaN stays one
    case Activation::gelu: return 0.5f * x * erfcf(-x * kInvSqrt2);
    case Activation::gelu_tanh: return 0.5f * x * (1 + gelu_tanh_inner(x));
    case Activation::sigmoid: return sigmoid(x);
    case Activation::tanh: return tanhf(x);
    case Activation::softplus: return log1pf(expf(-fabsf(x))) + fmaxf(x, 0.0f);
    case Activation::leaky_relu: return x > 0 ? x : slope * x;
    case Activation::exp: return expf(x);
  }
  return 0;
}

__device__ float derivative(Activation kind, float slope, float x) {
  switch (kind) {
    case Activation::silu: return sigmoid(x) * (1 + x * sigmoid(-x));
    case Activation::relu: return x <= 0 ? 0 : 1;
    case Activation::gelu: return 0.5f * erfcf(-x * kInvSqrt2) + x * kInvSqrt2Pi * expf(-0.5f * x * x);
    case Activation::gelu_tanh: {
      const float t = gelu_tanh_inner(x);
      const float c = fminf(fmaxf(x, -20.0f), 20.0f);  // keeps x^2 from overflowing into 0 * inf
      return 0.5f * (1 + t) + 0.5f * c * (1 - t * t) * kSqrt2OverPi * (1 + 3 * kGeluCubic * c * c);
    }
    case Activation::sigmoid: return sigmoid(x) * sigmoid(-x);
    case Activation::tanh: {
      const float t = tanhf(x);
      return 1 - t * t;
    }
    case Activation::softplus: return sigmoid(x);
    case Activation::leaky_relu: return x > 0 ? 1 : slope;
    case Activation::exp: return expf(x);
  }
  return 0;
}

}  // namespace

template <class T>
__global__ void activation_forward_kernel(int64_t n, Activation kind, float slope, const T* x, T* y) {
  const int64_t i = thread_index();
  if (i < n) store(y + i, value(kind, slope, load(x + i)));
}

template <class T>
__global__ void activation_backward_kernel(int64_t n, Activation kind, float slope, const T* x, const T* dy, T* dx) {
  const int64_t i = thread_index();
  if (i < n) store(dx + i, load(dy + i) * derivative(kind, slope, load(x + i)));
}

template <class T> void activation_forward(Activation kind, double slope, int64_t n, const T* x, T* y, Stream stream) {
  launch_elements(activation_forward_kernel<T>, n, stream, kind, float(slope), x, y);
}

template <class T>
void activation_backward(Activation kind, double slope, int64_t n, const T* x, const T* dy, T* dx, Stream stream) {
  launch_elements(activation_backward_kernel<T>, n, stream, kind, float(slope), x, dy, dx);
}

template decltype(activation_forward<float>) activation_forward<float>;
template decltype(activation_forward<Bfloat16>) activation_forward<Bfloat16>;
template decltype(activation_backward<float>) activation_backward<float>;
template decltype(activation_backward<Bfloat16>) activation_backward<Bfloat16>;

}  // namespace echodiff::cuda
