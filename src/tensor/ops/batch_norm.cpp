#include "kernels/batch_norm.h"

#include <cmath>

#include "kernels/activation.h"
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
    check(per_channel.shape() == Shape{geo.C} && per_channel.dtype() == x.dtype(), op,
          ": weight, bias and running statistics must be (", geo.C, ") ", name_of(x.dtype()), " for x ", x.shape(),
          ", got ", per_channel.shape(), " ", name_of(per_channel.dtype()));
  check(!options.training || geo.rows > 1, op, ": training needs more than one value per channel, got x ", x.shape());
  Tensor mean, rstd;
  if (options.training) {
    mean = empty({geo.C}, DType::f64);
    rstd = empty({geo.C}, DType::f64);  // holds the variance until the running one is updated
    dispatch(x.dtype(), op, [&]<class T>(T) {
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
  return {geo, mean, rstd};
}

// dx, dweight, dbias from the gradient of the normalised output
Gradients backward(const Statistics& s, bool training, const Tensor& x, const Tensor& weight, const Tensor& bias,
                   const Tensor& dy) {
  Tensor dx, dweight, dbias;
  if (x.requires_grad()) dx = empty_like(x);
  if (weight.requires_grad()) dweight = empty_like(weight);
  if (bias.requires_grad()) dbias = empty_like(bias);
  dispatch(x.dtype(), "batch_norm", [&]<class T>(T) {
    cpu::batch_norm_backward(s.geo, training, x.data<T>(), weight.data<T>(), dy.data<T>(), s.mean.data<double>(),
                             s.rstd.data<double>(), dx ? dx.mutable_data<T>() : nullptr,
                             dweight ? dweight.mutable_data<T>() : nullptr, dbias ? dbias.mutable_data<T>() : nullptr);
  });
  return {dx, dweight, dbias};
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean, Tensor& running_var,
                  const BatchNormOptions& options) {
  const Statistics s = statistics("batch_norm", x, weight, bias, running_mean, running_var, options);
  Tensor y = empty_like(x);
  dispatch(x.dtype(), "batch_norm", [&]<class T>(T) {
    cpu::batch_norm_forward(s.geo, x.data<T>(), weight.data<T>(), bias.data<T>(), s.mean.data<double>(),
                            s.rstd.data<double>(), y.mutable_data<T>());
  });
  return record("batch_norm", y, {x, weight, bias}, [=, training = options.training](const Tensor& dy) -> Gradients {
    return backward(s, training, x, weight, bias, dy);
  });
}

Tensor batch_norm_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                       Tensor& running_var, const Tensor& residual, const BatchNormOptions& options) {
  const Statistics s = statistics("batch_norm_relu", x, weight, bias, running_mean, running_var, options);
  check(!residual || (residual.shape() == x.shape() && residual.dtype() == x.dtype()), "batch_norm_relu: residual must be ",
        x.shape(), ", got ", residual ? residual.shape() : Shape());
  Tensor y = empty_like(x);
  dispatch(x.dtype(), "batch_norm_relu", [&]<class T>(T) {
    cpu::batch_norm_relu_forward(s.geo, x.data<T>(), weight.data<T>(), bias.data<T>(), s.mean.data<double>(),
                                 s.rstd.data<double>(), residual ? residual.data<T>() : nullptr, y.mutable_data<T>());
  });
  return record("batch_norm_relu", y, {x, weight, bias, residual},
                [=, training = options.training, y = y.detach()](const Tensor& dy) -> Gradients {
                  Tensor dz = empty_like(dy);  // y > 0 exactly where its argument was
                  dispatch(dy.dtype(), "batch_norm_relu", [&]<class T>(T) {
                    cpu::relu_backward(dy.count(), y.data<T>(), dy.data<T>(), dz.mutable_data<T>());
                  });
                  Gradients gradients = backward(s, training, x, weight, bias, dz);
                  gradients.push_back(residual ? dz : Tensor());
                  return gradients;
                });
}

}  // namespace echodiff
