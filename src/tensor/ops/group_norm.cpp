#include "kernels/group_norm.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

GroupNormGeometry geometry(const char* op, const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias) {
  check(x.rank() == 4, op, ": x must be (N, C, H, W), got ", x.shape());
  const GroupNormGeometry g{x.dim(0), x.dim(1), x.dim(2) * x.dim(3), groups};
  check(groups >= 1 && g.C % groups == 0, op, ": ", groups, " groups do not divide C = ", g.C, " of x ", x.shape());
  check(weight.shape() == Shape({g.C}) && bias.shape() == Shape({g.C}), op, ": weight and bias must be (", g.C,
        "), got ", weight.shape(), " and ", bias.shape());
  return g;
}

}  // namespace

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  const GroupNormGeometry g = geometry("group_norm", x, groups, weight, bias);
  Tensor y = empty_like(x), mean = empty_statistics({g.N, groups}, x), rstd = empty_like(mean);
  dispatch(
      x, "group_norm",
      [&]<class T>(T) {
        cpu::group_norm_forward(g, x.data<T>(), weight.data<T>(), bias.data<T>(), eps, y.mutable_data<T>(),
                                mean.mutable_data<T>(), rstd.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::group_norm_forward(g, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), eps, gpu.out<T>(y), gpu.out(mean),
                                 gpu.out(rstd), gpu.stream());
      });
  return record("group_norm", y, {x, weight, bias}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dweight = empty_like(weight), dbias = empty_like(bias);
    dispatch(
        x, "group_norm",
        [&]<class T>(T) {
          cpu::group_norm_backward(g, x.data<T>(), weight.data<T>(), mean.data<T>(), rstd.data<T>(), dy.data<T>(),
                                   dx.mutable_data<T>(), dweight.mutable_data<T>(), dbias.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::group_norm_backward(g, gpu.in<T>(x), gpu.in(weight), gpu.in(mean), gpu.in(rstd), gpu.in<T>(dy),
                                    gpu.out<T>(dx), gpu.out(dweight), gpu.out(dbias),
                                    gpu.scratch<float>(cuda::group_norm_backward_scratch(g)), gpu.stream());
        });
    return {dx, dweight, dbias};
  });
}

Tensor group_norm_silu(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                       const Tensor& scale_and_shift) {
  const GroupNormGeometry g = geometry("group_norm_silu", x, groups, weight, bias);
  const Tensor modulation = rounded_like(x, scale_and_shift);
  check(!modulation || modulation.shape() == Shape({g.N, 2 * g.C}), "group_norm_silu: scale_and_shift must be (", g.N,
        ", ", 2 * g.C, ") for x ", x.shape(), ", got ", modulation ? modulation.shape() : Shape());
  Tensor y = empty_like(x), mean = empty_statistics({g.N, groups}, x), rstd = empty_like(mean);
  dispatch(
      x, "group_norm_silu",
      [&]<class T>(T) {
        cpu::group_norm_silu_forward(g, x.data<T>(), weight.data<T>(), bias.data<T>(),
                                     modulation ? modulation.data<T>() : nullptr, eps, y.mutable_data<T>(),
                                     mean.mutable_data<T>(), rstd.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::group_norm_silu_forward(g, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), gpu.in<T>(modulation), eps,
                                      gpu.out<T>(y), gpu.out(mean), gpu.out(rstd), gpu.stream());
      });
  return record("group_norm_silu", y, {x, weight, bias, modulation}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dweight = empty_like(weight), dbias = empty_like(bias), dmodulation;
    if (modulation) dmodulation = empty_like(modulation);
    dispatch(
        x, "group_norm_silu",
        [&]<class T>(T) {
          cpu::group_norm_silu_backward(g, x.data<T>(), weight.data<T>(), bias.data<T>(),
                                        modulation ? modulation.data<T>() : nullptr, mean.data<T>(), rstd.data<T>(),
                                        dy.data<T>(), dx.mutable_data<T>(), dweight.mutable_data<T>(),
                                        dbias.mutable_data<T>(), modulation ? dmodulation.mutable_data<T>() : nullptr);
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::group_norm_silu_backward(g, gpu.in<T>(x), gpu.in(weight), gpu.in(bias), gpu.in<T>(modulation),
                                         gpu.in(mean), gpu.in(rstd), gpu.in<T>(dy), gpu.out<T>(dx), gpu.out(dweight),
                                         gpu.out(dbias), gpu.out<T>(dmodulation),
                                         gpu.scratch<float>(cuda::group_norm_backward_scratch(g)), gpu.stream());
        });
    return {dx, dweight, dbias, dmodulation};
  });
}

}  // namespace echodiff
