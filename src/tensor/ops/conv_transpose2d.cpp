// The transpose of conv2d: its forward pass is conv2d's backward-data pass, with x in the place of dy, and so on.
#include "kernels/conv2d.h"
#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

// The geometry of the convolution this op transposes: its x is our y, its y is our x.
Conv2dGeometry transposed_geometry(const Tensor& x, const Tensor& weight, const Tensor& bias,
                                   const ConvTranspose2dOptions& options) {
  check(x.rank() == 4, "conv_transpose2d: x must be (N, C, H, W), got ", x.shape());
  check(weight.rank() == 4 && weight.dim(0) == x.dim(1),
        "conv_transpose2d: weight must be (C, K/groups, R, S) with C of x ", x.shape(), ", got ", weight.shape());
  Conv2dGeometry g{};
  g.N = x.dim(0), g.K = x.dim(1), g.out_height = x.dim(2), g.out_width = x.dim(3);
  g.C = weight.dim(1) * options.groups, g.R = weight.dim(2), g.S = weight.dim(3);
  g.stride_h = options.stride[0], g.stride_w = options.stride[1];
  g.padding_h = options.padding[0], g.padding_w = options.padding[1];
  g.dilation_h = options.dilation[0], g.dilation_w = options.dilation[1];
  g.groups = options.groups;
  check(g.groups >= 1 && g.K % g.groups == 0, "conv_transpose2d: ", g.groups, " groups do not divide x ", x.shape());
  check(!bias || bias.shape() == Shape({g.C}), "conv_transpose2d: bias must be (", g.C, "), got ",
        bias ? bias.shape() : Shape());
  g.H = (g.out_height - 1) * g.stride_h - 2 * g.padding_h + g.dilation_h * (g.R - 1) + options.output_padding[0] + 1;
  g.W = (g.out_width - 1) * g.stride_w - 2 * g.padding_w + g.dilation_w * (g.S - 1) + options.output_padding[1] + 1;
  check(g.H > 0 && g.W > 0, "conv_transpose2d: x ", x.shape(), " and weight ", weight.shape(), " leave no output");
  return g;
}

}  // namespace

Tensor conv_transpose2d(const Tensor& x, const Tensor& master, const Tensor& master_bias,
                        const ConvTranspose2dOptions& options) {
  const Tensor weight = rounded_like(x, master), bias = rounded_like(x, master_bias);
  const Conv2dGeometry g = transposed_geometry(x, weight, bias, options);
  Tensor y = empty({g.N, g.C, g.H, g.W}, x);
  dispatch(
      x, "conv_transpose2d",
      [&]<class T>(T) {
        cpu::conv2d_backward_data(g, x.data<T>(), weight.data<T>(), bias ? bias.data<T>() : nullptr,
                                  y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::conv2d_backward_data(g, gpu.in<T>(x), gpu.in<T>(weight), gpu.in<T>(bias), gpu.out<T>(y), gpu.context());
      });
  return record("conv_transpose2d", y, {x, weight, bias}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = gradient_for(x), dweight = gradient_for(weight), dbias = gradient_for(bias);
    dispatch(
        x, "conv_transpose2d",
        [&]<class T>(T) {
          if (dx)
            cpu::conv2d_forward(g, dy.data<T>(), weight.data<T>(), static_cast<const T*>(nullptr),
                                dx.mutable_data<T>());
          if (dweight) cpu::conv2d_backward_weight(g, dy.data<T>(), x.data<T>(), dweight.mutable_data<T>());
          if (dbias) cpu::conv2d_backward_bias(g.N * g.H * g.W, g.C, dy.data<T>(), dbias.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          const T* no_bias = nullptr;
          if (dx) cuda::conv2d_forward(g, gpu.in<T>(dy), gpu.in<T>(weight), no_bias, gpu.out<T>(dx), gpu.context());
          if (dweight) cuda::conv2d_backward_weight(g, gpu.in<T>(dy), gpu.in<T>(x), gpu.out<T>(dweight), gpu.context());
          if (dbias) dbias = sum_to(dy, {1, g.C, 1, 1}).alias({g.C});
        });
    return {dx, dweight, dbias};
  });
}

}  // namespace echodiff
