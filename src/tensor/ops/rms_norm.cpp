#include "kernels/rms_norm.h"

#include "tensor/ops.h"

namespace echodiff {

Tensor rms_norm(const Tensor& x, const Tensor& gain) {
  check(x.rank() == 4, "rms_norm: x must be (N, C, H, W), got ", x.shape());
  const int64_t C = x.dim(1), pixels = x.count() / C;
  check(gain.shape() == Shape({1, C, 1, 1}), "rms_norm: gain must be (1, ", C, ", 1, 1), got ", gain.shape());
  Tensor y = empty_like(x), inverse_norm = empty({pixels}, x.dtype());
  dispatch(x.dtype(), "rms_norm", [&]<class T>(T) {
    cpu::rms_norm_forward(pixels, C, x.data<T>(), gain.data<T>(), y.mutable_data<T>(), inverse_norm.mutable_data<T>());
  });
  return record("rms_norm", y, {x, gain}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dgain = empty_like(gain);
    dispatch(x.dtype(), "rms_norm", [&]<class T>(T) {
      cpu::rms_norm_backward(pixels, C, x.data<T>(), gain.data<T>(), inverse_norm.data<T>(), dy.data<T>(), dx.mutable_data<T>(),
                             dgain.mutable_data<T>());
    });
    return {dx, dgain};
  });
}

}  // namespace echodiff
