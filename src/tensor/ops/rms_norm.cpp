#include "kernels/rms_norm.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/precision.h"

namespace echodiff {

Tensor rms_norm(const Tensor& x, const Tensor& gain) {
  check(x.rank() == 4, "rms_norm: x must be (N, C, H, W), got ", x.shape());
  const int64_t C = x.dim(1), pixels = x.count() / C;
  check(gain.shape() == Shape({1, C, 1, 1}), "rms_norm: gain must be (1, ", C, ", 1, 1), got ", gain.shape());
  Tensor y = empty_like(x), inverse_norm = empty_statistics({pixels}, x);
  dispatch(
      x, "rms_norm",
      [&]<class T>(T) {
        cpu::rms_norm_forward(pixels, C, x.data<T>(), gain.data<T>(), y.mutable_data<T>(),
                              inverse_norm.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::rms_norm_forward(pixels, C, gpu.in<T>(x), gpu.in(gain), gpu.out<T>(y), gpu.out(inverse_norm),
                               gpu.stream());
      });
  return record("rms_norm", y, {x, gain}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dgain = empty_like(gain);
    dispatch(
        x, "rms_norm",
        [&]<class T>(T) {
          cpu::rms_norm_backward(pixels, C, x.data<T>(), gain.data<T>(), inverse_norm.data<T>(), dy.data<T>(),
                                 dx.mutable_data<T>(), dgain.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::rms_norm_backward(pixels, C, gpu.in<T>(x), gpu.in(gain), gpu.in(inverse_norm), gpu.in<T>(dy),
                                  gpu.out<T>(dx), gpu.out(dgain),
                                  gpu.scratch<float>(cuda::rms_norm_backward_scratch(pixels, C)), gpu.stream());
        });
    return {dx, dgain};
  });
}

Tensor rms_norm_silu(const Tensor& x, const Tensor& gain, const Tensor& scale_and_shift) {
  check(x.rank() == 4, "rms_norm_silu: x must be (N, C, H, W), got ", x.shape());
  const ChannelGeometry g{x.dim(0), x.dim(2) * x.dim(3), x.dim(1)};
  const Tensor modulation = rounded_like(x, scale_and_shift);
  check(gain.shape() == Shape({1, g.C, 1, 1}), "rms_norm_silu: gain must be (1, ", g.C, ", 1, 1), got ", gain.shape());
  check(!modulation || modulation.shape() == Shape({g.N, 2 * g.C}), "rms_norm_silu: scale_and_shift must be (", g.N,
        ", ", 2 * g.C, ") for x ", x.shape(), ", got ", modulation ? modulation.shape() : Shape());
  Tensor y = empty_like(x), inverse_norm = empty_statistics({g.N * g.pixels}, x);
  dispatch(
      x, "rms_norm_silu",
      [&]<class T>(T) {
        cpu::rms_norm_silu_forward(g, x.data<T>(), gain.data<T>(), modulation ? modulation.data<T>() : nullptr,
                                   y.mutable_data<T>(), inverse_norm.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::rms_norm_silu_forward(g, gpu.in<T>(x), gpu.in(gain), gpu.in<T>(modulation), gpu.out<T>(y),
                                    gpu.out(inverse_norm), gpu.stream());
      });
  return record("rms_norm_silu", y, {x, gain, modulation}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dgain = empty_like(gain), dmodulation;
    if (modulation) dmodulation = empty_like(modulation);
    dispatch(
        x, "rms_norm_silu",
        [&]<class T>(T) {
          cpu::rms_norm_silu_backward(g, x.data<T>(), gain.data<T>(), modulation ? modulation.data<T>() : nullptr,
                                      inverse_norm.data<T>(), dy.data<T>(), dx.mutable_data<T>(),
                                      dgain.mutable_data<T>(), modulation ? dmodulation.mutable_data<T>() : nullptr);
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::rms_norm_silu_backward(g, gpu.in<T>(x), gpu.in(gain), gpu.in<T>(modulation), gpu.in(inverse_norm),
                                       gpu.in<T>(dy), gpu.out<T>(dx), gpu.out(dgain), gpu.out<T>(dmodulation),
                                       gpu.scratch<float>(cuda::rms_norm_silu_backward_scratch(g)), gpu.stream());
        });
    return {dx, dgain, dmodulation};
  });
}

}  // namespace echodiff
