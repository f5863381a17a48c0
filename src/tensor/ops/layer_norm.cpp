#include "kernels/layer_norm.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/precision.h"

namespace echodiff {

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check(x.rank() >= 1 && x.rank() <= 3,
        "layer_norm: x must be (.., D) of rank 1 to 3 (to_tokens makes an image so), got ", x.shape());
  const LayerNormGeometry geo{x.count() / std::max<int64_t>(1, x.dim(-1)), x.dim(-1)};
  for (const Tensor& parameter : {weight, bias})
    check(!parameter || (parameter.shape() == Shape{geo.D} && parameter.dtype() == statistics_dtype(x)),
          "layer_norm: weight and bias must be (", geo.D, ") for x ", x.shape(), ", got ",
          parameter ? parameter.shape() : Shape{});
  Tensor y = empty_like(x), mean = empty({geo.rows}, DType::f64, x.device()), rstd = empty_like(mean);
  dispatch(
      x, "layer_norm",
      [&]<class T>(T) {
        reference::layer_norm_forward(geo, x.data<T>(), weight ? weight.data<T>() : nullptr,
                                      bias ? bias.data<T>() : nullptr, eps, y.mutable_data<T>(),
                                      mean.mutable_data<double>(), rstd.mutable_data<double>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::layer_norm_forward(geo, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), eps, gpu.out<T>(y),
                                 gpu.out<double>(mean), gpu.out<double>(rstd), gpu.stream());
      });
  return record("layer_norm", y, {x, weight, bias}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = gradient_for(x), dweight = gradient_for(weight), dbias = gradient_for(bias);
    dispatch(
        x, "layer_norm",
        [&]<class T>(T) {
          reference::layer_norm_backward(geo, x.data<T>(), weight ? weight.data<T>() : nullptr, dy.data<T>(),
                                         mean.data<double>(), rstd.data<double>(), dx ? dx.mutable_data<T>() : nullptr,
                                         dweight ? dweight.mutable_data<T>() : nullptr,
                                         dbias ? dbias.mutable_data<T>() : nullptr);
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::layer_norm_backward(geo, gpu.in<T>(x), gpu.in(weight), gpu.in<T>(dy), gpu.in<double>(mean),
                                    gpu.in<double>(rstd), gpu.out<T>(dx), gpu.out(dweight), gpu.out(dbias),
                                    gpu.scratch<double>(cuda::layer_norm_backward_scratch(geo)), gpu.stream());
        });
    return {dx, dweight, dbias};
  });
}

}  // namespace echodiff
