#include "kernels/group_norm.h"

#include "tensor/ops.h"

namespace echodiff {

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps) {
  check(x.rank() == 4, "group_norm: x must be (N, C, H, W), got ", x.shape());
  const GroupNormGeometry g{x.dim(0), x.dim(1), x.dim(2) * x.dim(3), groups};
  check(groups >= 1 && g.C % groups == 0, "group_norm: ", groups, " groups do not divide C = ", g.C, " of x ", x.shape());
  check(weight.shape() == Shape({g.C}) && bias.shape() == Shape({g.C}), "group_norm: weight and bias must be (", g.C, "), got ",
        weight.shape(), " and ", bias.shape());
  Tensor y = empty_like(x), mean = empty({g.N, groups}, x.dtype()), rstd = empty({g.N, groups}, x.dtype());
  dispatch(x.dtype(), "group_norm", [&]<class T>(T) {
    cpu::group_norm_forward(g, x.data<T>(), weight.data<T>(), bias.data<T>(), eps, y.mutable_data<T>(), mean.mutable_data<T>(),
                            rstd.mutable_data<T>());
  });
  return record("group_norm", y, {x, weight, bias}, [=](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(x), dweight = empty_like(weight), dbias = empty_like(bias);
    dispatch(x.dtype(), "group_norm", [&]<class T>(T) {
      cpu::group_norm_backward(g, x.data<T>(), weight.data<T>(), mean.data<T>(), rstd.data<T>(), dy.data<T>(), dx.mutable_data<T>(),
                               dweight.mutable_data<T>(), dbias.mutable_data<T>());
    });
    return {dx, dweight, dbias};
  });
}

}  // namespace echodiff
