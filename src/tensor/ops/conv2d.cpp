#include "kernels/conv2d.h"

#include <type_traits>

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

Conv2dGeometry geometry_of(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  check(x.rank() == 4, "conv2d: x must be (N, C, H, W), got ", x.shape());
  check(weight.rank() == 4, "conv2d: weight must be (K, C/groups, R, S), got ", weight.shape());
  Conv2dGeometry g{};
  g.N = x.dim(0), g.C = x.dim(1), g.H = x.dim(2), g.W = x.dim(3);
  g.K = weight.dim(0), g.R = weight.dim(2), g.S = weight.dim(3);
  g.stride_h = options.stride[0], g.stride_w = options.stride[1];
  g.padding_h = options.padding[0], g.padding_w = options.padding[1];
  g.dilation_h = options.dilation[0], g.dilation_w = options.dilation[1];
  g.groups = options.groups;
  check(g.groups >= 1 && g.C % g.groups == 0 && g.K % g.groups == 0 && weight.dim(1) == g.C / g.groups, "conv2d: x ",
        x.shape(), " and weight ", weight.shape(), " don't fit with ", g.groups, " groups");
  check(!bias || bias.shape() == Shape({g.K}), "conv2d: bias must be (", g.K, "), got ", bias ? bias.shape() : Shape());
  check(x.dtype() == weight.dtype(), "conv2d: x is ", name_of(x.dtype()), ", weight ", name_of(weight.dtype()));
  g.out_height = (g.H + 2 * g.padding_h - g.dilation_h * (g.R - 1) - 1) / g.stride_h + 1;
  g.out_width = (g.W + 2 * g.padding_w - g.dilation_w * (g.S - 1) - 1) / g.stride_w + 1;
  check(g.H + 2 * g.padding_h >= g.dilation_h * (g.R - 1) + 1 && g.W + 2 * g.padding_w >= g.dilation_w * (g.S - 1) + 1,
        "conv2d: the kernel of weight ", weight.shape(), " is larger than the padded x ", x.shape());
  return g;
}

// In inference a weight is packed once; in training it changes with every step, and is packed on the way.
void forward(const Conv2dGeometry& g, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& y) {
  dispatch(
      x, "conv2d",
      [&]<class T>(T) {
        const T *w = weight.data<T>(), *b = bias ? bias.data<T>() : nullptr;
        if constexpr (std::is_same_v<T, float>) {
          if (!grad_enabled() && g.groups == 1) {  // the packing depends on the groups, which the weight doesn't know
            const float* packed =
                weight.derived(cpu::conv2d_packed_size(g), [&](float* into) { cpu::conv2d_pack(g, w, into); });
            return cpu::conv2d_forward_packed(g, x.data<T>(), packed, b, y.mutable_data<T>());
          }
        }
        cpu::conv2d_forward(g, x.data<T>(), w, b, y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::conv2d_forward(g, gpu.in<T>(x), gpu.in<T>(weight), gpu.in<T>(bias), gpu.out<T>(y), gpu.context());
      });
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& master, const Tensor& master_bias, const Conv2dOptions& options) {
  const Tensor weight = rounded_like(x, master), bias = rounded_like(x, master_bias);
  const Conv2dGeometry g = geometry_of(x, weight, bias, options);
  Tensor y = empty({g.N, g.K, g.out_height, g.out_width}, x);
  forward(g, x, weight, bias, y);
  return record("conv2d", y, {x, weight, bias}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = gradient_for(x), dweight = gradient_for(weight), dbias = gradient_for(bias);
    dispatch(
        x, "conv2d",
        [&]<class T>(T) {
          if (dx)
            cpu::conv2d_backward_data(g, dy.data<T>(), weight.data<T>(), static_cast<const T*>(nullptr),
                                      dx.mutable_data<T>());
          if (dweight) cpu::conv2d_backward_weight(g, x.data<T>(), dy.data<T>(), dweight.mutable_data<T>());
          if (dbias)
            cpu::conv2d_backward_bias(g.N * g.out_height * g.out_width, g.K, dy.data<T>(), dbias.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          const T* no_bias = nullptr;
          if (dx)
            cuda::conv2d_backward_data(g, gpu.in<T>(dy), gpu.in<T>(weight), no_bias, gpu.out<T>(dx), gpu.context());
          if (dweight) cuda::conv2d_backward_weight(g, gpu.in<T>(x), gpu.in<T>(dy), gpu.out<T>(dweight), gpu.context());
          if (dbias) dbias = sum_to(dy, {1, g.K, 1, 1}).alias({g.K});
        });
    return {dx, dweight, dbias};
  });
}

}  // namespace echodiff
