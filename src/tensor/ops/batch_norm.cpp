#include "kernels/batch_norm.h"

#include "kernels/activation.h"
#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

struct Statistics {
  BatchNormGeometry geo;
  Tensor mean, rstd;  // (C) f64
};

// Checks the shapes, and in training moves the running statistics.
Statistics statistics(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                      Tensor& running_var, const BatchNormOptions& options) {
  check(x.rank() == 4, op, ": x must be (N, C, H, W), got ", x.shape());
  const BatchNormGeometry geo{x.dim(0) * x.dim(2) * x.dim(3), x.dim(1)};
  for (const Tensor& per_channel : {weight, bias, running_mean, running_var})
    check(per_channel.shape() == Shape{geo.C} && per_channel.dtype() == statistics_dtype(x), op,
          ": weight, bias and running statistics must be (", geo.C, ") ", name_of(statistics_dtype(x)), " for x ",
          x.shape(), ", got ", per_channel.shape(), " ", name_of(per_channel.dtype()));
  check(!options.training || geo.rows > 1, op, ": training needs more than one value per channel, got x ", x.shape());
  const NoGrad no_grad;
  Tensor mean = empty({geo.C}, DType::f64, x.device()), rstd = empty_like(mean);
  dispatch(
      x, op,
      [&]<class T>(T) {
        double *m = mean.mutable_data<double>(), *r = rstd.mutable_data<double>();
        if (!options.training)
          return reference::batch_norm_recall(geo.C, options.eps, running_mean.data<T>(), running_var.data<T>(), m, r);
        cpu::batch_norm_statistics(geo, x.data<T>(), m, r);  // r holds the variance at first
        reference::batch_norm_track(geo, options.momentum, options.eps, m, r, running_mean.mutable_data<T>(),
                                    running_var.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        double *m = gpu.out<double>(mean), *r = gpu.out<double>(rstd);
        if (!options.training)
          return cuda::batch_norm_recall(geo.C, options.eps, gpu.in(running_mean), gpu.in(running_var), m, r,
                                         gpu.stream());
        cuda::batch_norm_statistics(geo, gpu.in<T>(x), m, r, gpu.scratch<double>(cuda::batch_norm_scratch(geo)),
                                    gpu.stream());
        cuda::batch_norm_track(geo, options.momentum, options.eps, m, r, gpu.out(running_mean), gpu.out(running_var),
                               gpu.stream());
      });
  return {geo, mean, rstd};
}

// dx, dweight, dbias from the gradient of the normalised output
Gradients backward(const Statistics& s, bool training, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const Tensor& dy) {
  Tensor dx = gradient_for(x), dweight = gradient_for(weight), dbias = gradient_for(bias);
  dispatch(
      x, "batch_norm",
      [&]<class T>(T) {
        cpu::batch_norm_backward(s.geo, training, x.data<T>(), weight.data<T>(), dy.data<T>(), s.mean.data<double>(),
                                 s.rstd.data<double>(), dx ? dx.mutable_data<T>() : nullptr,
                                 dweight ? dweight.mutable_data<T>() : nullptr,
                                 dbias ? dbias.mutable_data<T>() : nullptr);
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::batch_norm_backward(s.geo, training, gpu.in<T>(x), gpu.in(weight), gpu.in<T>(dy), gpu.in<double>(s.mean),
                                  gpu.in<double>(s.rstd), gpu.out<T>(dx), gpu.out(dweight), gpu.out(dbias),
                                  gpu.scratch<double>(cuda::batch_norm_scratch(s.geo)), gpu.stream());
      });
  return {dx, dweight, dbias};
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean, Tensor& running_var,
                  const BatchNormOptions& options) {
  const Statistics s = statistics("batch_norm", x, weight, bias, running_mean, running_var, options);
  Tensor y = empty_like(x);
  dispatch(
      x, "batch_norm",
      [&]<class T>(T) {
        cpu::batch_norm_forward(s.geo, x.data<T>(), weight.data<T>(), bias.data<T>(), s.mean.data<double>(),
                                s.rstd.data<double>(), y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::batch_norm_forward(s.geo, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), gpu.in<double>(s.mean),
                                 gpu.in<double>(s.rstd), gpu.out<T>(y), gpu.stream());
      });
  return record("batch_norm", y, {x, weight, bias}, [=, training = options.training](const Tensor& dy) -> Gradients {
    return backward(s, training, x, weight, bias, dy);
  });
}

Tensor batch_norm_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                       Tensor& running_var, const Tensor& residual, const BatchNormOptions& options) {
  const Statistics s = statistics("batch_norm_relu", x, weight, bias, running_mean, running_var, options);
  check(!residual || (residual.shape() == x.shape() && residual.dtype() == x.dtype()),
        "batch_norm_relu: residual must be ", x.shape(), ", got ", residual ? residual.shape() : Shape());
  Tensor y = empty_like(x);
  dispatch(
      x, "batch_norm_relu",
      [&]<class T>(T) {
        cpu::batch_norm_relu_forward(s.geo, x.data<T>(), weight.data<T>(), bias.data<T>(), s.mean.data<double>(),
                                     s.rstd.data<double>(), residual ? residual.data<T>() : nullptr,
                                     y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::batch_norm_relu_forward(s.geo, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), gpu.in<double>(s.mean),
                                      gpu.in<double>(s.rstd), gpu.in<T>(residual), gpu.out<T>(y), gpu.stream());
      });
  return record("batch_norm_relu", y, {x, weight, bias, residual},
                [=, training = options.training, y = y.detach()](const Tensor& dy) -> Gradients {
                  Tensor dz = empty_like(dy);  // y > 0 exactly where its argument was
                  dispatch(
                      dy, "batch_norm_relu",
                      [&]<class T>(T) {
                        cpu::activation_backward(Activation::relu, 0, dy.count(), y.data<T>(), dy.data<T>(),
                                                 dz.mutable_data<T>());
                      },
                      [&]<class T>(DeviceCall& gpu) {
                        cuda::activation_backward(Activation::relu, 0, dy.count(), gpu.in<T>(y), gpu.in<T>(dy),
                                                  gpu.out<T>(dz), gpu.stream());
                      });
                  Gradients gradients = backward(s, training, x, weight, bias, dz);
                  gradients.push_back(residual ? dz : Tensor());
                  return gradients;
                });
}

}  // namespace echodiff
