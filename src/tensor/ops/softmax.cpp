#include "kernels/softmax.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {

Tensor softmax(const Tensor& x, int64_t dim) {
  const int64_t axis = dim < 0 ? dim + x.rank() : dim;
  check(axis >= 0 && axis < x.rank() && x.dim(axis) > 0, "softmax: no elements along dimension ", dim, " of x ",
        x.shape());
  const int64_t K = x.dim(axis), inner = x.shape().strides()[size_t(axis)];
  const SoftmaxGeometry geo{inner == 0 ? 0 : x.count() / (K * inner), K, inner};
  Tensor y = empty_like(x);
  dispatch(
      x, "softmax", [&]<class T>(T) { reference::softmax_forward(geo, x.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) { cuda::softmax_forward(geo, gpu.in<T>(x), gpu.out<T>(y), gpu.stream()); });
  return record("softmax", y, {x}, [geo, y = y.detach()](const Tensor& dy) -> Gradients {
    Tensor dx = empty_like(y);
    dispatch(
        y, "softmax",
        [&]<class T>(T) { reference::softmax_backward(geo, y.data<T>(), dy.data<T>(), dx.mutable_data<T>()); },
        [&]<class T>(DeviceCall& gpu) {
          cuda::softmax_backward(geo, gpu.in<T>(y), gpu.in<T>(dy), gpu.out<T>(dx), gpu.stream());
        });
    return {dx};
  });
}

}  // namespace echodiff
