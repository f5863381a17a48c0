#include "kernels/batch_norm.h"

#include <cmath>

#include "tensor/ops.h"

namespace echodiff {
namespace {

// running = (1 - momentum) running + momentum * value * factor
void update_running(Tensor& running, double momentum, const double* values, double factor) {
  const NoGrad no_grad;
  dispatch(running.dtype(), "batch_norm", [&]<class T>(T) {
    T* r = running.mutable_data<T>();
    for (int64_t c = 0; c < running.count(); ++c)
      r[c] = T((1 - momentum) * double(r[c]) + momentum * values[c] * factor);
  });
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean, Tensor& running_var,
                  const BatchNormOptions& options) {
  check(x.rank() == 4, "batch_norm: x must be (N, C, H, W), got ", x.shape());
  const BatchNormGeometry geo{x.dim(0) * x.dim(2) * x.dim(3), x.dim(1)};
  for (const Tensor& per_channel : {weight, bias, running_mean, running_var})
    check(per_channel.shape() == Shape{geo.C} && per_channel.dtype() == x.dtype(),
          "batch_norm: weight, bias and running statistics must be (", geo.C, ") ", name_of(x.dtype()), " for x ",
          x.shape(), ", got ", per_channel.shape(), " ", name_of(per_channel.dtype()));
  check(!options.training || geo.rows > 1, "batch_norm: training needs more than one value per channel, got x ",
        x.shape());

  Tensor y = empty_like(x), mean, rstd;  // mean, rstd (C)
  if (options.training) {
    mean = empty({geo.C}, DType::f64);
    rstd = empty({geo.C}, DType::f64);  // holds the variance until the running one is updated
    dispatch(x.dtype(), "batch_norm", [&]<class T>(T) {
      cpu::batch_norm_statistics(geo, x.data<T>(), mean.mutable_data<double>(), rstd.mutable_data<double>());
    });
    update_running(running_mean, options.momentum, mean.data<double>(), 1);
    update_running(running_var, options.momentum, rstd.data<double>(), double(geo.rows) / double(geo.rows - 1));
  } else {
    mean = running_mean.dtype() == DType::f64 ? running_mean.clone() : running_mean.to(DType::f64);
    rstd = running_var.dtype() == DType::f64 ? running_var.clone() : running_var.to(DType::f64);
  }
  double* r = rstd.mutable_data<double>();
  for (int64_t c = 0; c < geo.C; ++c) r[c] = 1 / std::sqrt(r[c] + options.eps);

  dispatch(x.dtype(), "batch_norm", [&]<class T>(T) {
    cpu::batch_norm_forward(geo, x.data<T>(), weight.data<T>(), bias.data<T>(), mean.data<double>(),
                                  rstd.data<double>(), y.mutable_data<T>());
  });
  return record("batch_norm", y, {x, weight, bias}, [=, training = options.training](const Tensor& dy) -> Gradients {
    Tensor dx, dweight, dbias;
    if (x.requires_grad()) dx = empty_like(x);
    if (weight.requires_grad()) dweight = empty_like(weight);
    if (bias.requires_grad()) dbias = empty_like(bias);
    dispatch(x.dtype(), "batch_norm", [&]<class T>(T) {
      cpu::batch_norm_backward(geo, training, x.data<T>(), weight.data<T>(), dy.data<T>(), mean.data<double>(),
                                     rstd.data<double>(), dx ? dx.mutable_data<T>() : nullptr,
                                     dweight ? dweight.mutable_data<T>() : nullptr,
                                     dbias ? dbias.mutable_data<T>() : nullptr);
    });
    return {dx, dweight, dbias};
  });
}

}  // namespace echodiff
