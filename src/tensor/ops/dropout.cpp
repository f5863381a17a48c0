#include "kernels/dropout.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

Tensor masked(const DropoutGeometry& geo, const Tensor& x) {
  Tensor y = empty_like(x);
  dispatch(
      x, "dropout", [&]<class T>(T) { reference::dropout(geo, x.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) { cuda::dropout(geo, gpu.in<T>(x), gpu.out<T>(y), gpu.stream()); });
  return y;
}

}  // namespace

Tensor dropout(const Tensor& x, double p, uint64_t seed, uint64_t stream) {
  check(p >= 0 && p <= 1, "dropout: p must be in [0, 1], got ", p);
  if (p == 0) return x;
  const DropoutGeometry geo{x.count(), p, seed, stream};
  return record("dropout", masked(geo, x), {x}, [geo](const Tensor& dy) -> Gradients { return {masked(geo, dy)}; });
}

}  // namespace echodiff
