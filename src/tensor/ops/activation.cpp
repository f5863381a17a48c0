#include "kernels/activation.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

Tensor activate(const char* op, Activation kind, const Tensor& x, double slope = 0) {
  Tensor y = empty_like(x);
  dispatch(
      x, op, [&]<class T>(T) { cpu::activation_forward(kind, slope, x.count(), x.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::activation_forward(kind, slope, x.count(), gpu.in<T>(x), gpu.out<T>(y), gpu.stream());
      });
  return record(op, y, {x}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x);
    dispatch(
        x, op,
        [&]<class T>(T) {
          cpu::activation_backward(kind, slope, x.count(), x.data<T>(), dy.data<T>(), dx.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::activation_backward(kind, slope, x.count(), gpu.in<T>(x), gpu.in<T>(dy), gpu.out<T>(dx), gpu.stream());
        });
    return {dx};
  });
}

}  // namespace

Tensor silu(const Tensor& x) { return activate("silu", Activation::silu, x); }
Tensor relu(const Tensor& x) { return activate("relu", Activation::relu, x); }
Tensor gelu(const Tensor& x) { return activate("gelu", Activation::gelu, x); }
Tensor gelu_tanh(const Tensor& x) { return activate("gelu_tanh", Activation::gelu_tanh, x); }
Tensor sigmoid(const Tensor& x) { return activate("sigmoid", Activation::sigmoid, x); }
Tensor tanh(const Tensor& x) { return activate("tanh", Activation::tanh, x); }
Tensor softplus(const Tensor& x) { return activate("softplus", Activation::softplus, x); }
Tensor leaky_relu(const Tensor& x, double slope) { return activate("leaky_relu", Activation::leaky_relu, x, slope); }
Tensor exp(const Tensor& x) { return activate("exp", Activation::exp, x); }

}  // namespace echodiff
