#include "kernels/reduce.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"

namespace echodiff {
namespace {

// The shape of x with the dimensions `dims` (negative ones count from the end) of size 1.
Shape reduced_shape(const char* op, const Shape& x, const PoolVector<int64_t>& dims) {
  Shape shape = x;
  for (int64_t dim : dims) {
    const int64_t axis = dim < 0 ? dim + x.rank() : dim;
    check(axis >= 0 && axis < x.rank(), op, ": no dimension ", dim, " in x ", x);
    shape[axis] = 1;
  }
  return shape;
}

Tensor reduce(const char* op, const Tensor& x, const Shape& shape, double scale) {
  return record(op, sum_to(x, shape, scale), {x}, [x_shape = x.shape(), scale](const Tensor& dy) -> Gradients {
    return {broadcast_to(sum_to(dy, dy.shape(), scale), x_shape)};
  });
}

}  // namespace

Tensor sum_to(const Tensor& x, const Shape& shape, double scale) {
  if (x.shape() == shape && scale == 1) return x;
  ReduceGeometry geo;
  for (int64_t dim : x.shape().memory_order())
    geo.push_back({x.dim(dim), shape.rank() == 0 || (shape[dim] == 1 && x.dim(dim) != 1)});
  Tensor y = empty(shape, x);
  dispatch(
      x, "sum", [&]<class T>(T) { reference::reduce_sum(geo, x.data<T>(), scale, y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::reduce_sum(geo, gpu.in<T>(x), scale, gpu.out<T>(y), gpu.scratch<double>(cuda::reduce_scratch(geo)),
                         gpu.stream());
      });
  return y;
}

Tensor sum(const Tensor& x) { return reduce("sum", x, {}, 1); }
Tensor mean(const Tensor& x) { return reduce("mean", x, {}, 1 / double(x.count())); }
Tensor sum(const Tensor& x, const PoolVector<int64_t>& dims) {
  return reduce("sum", x, reduced_shape("sum", x.shape(), dims), 1);
}
Tensor mean(const Tensor& x, const PoolVector<int64_t>& dims) {
  const Shape shape = reduced_shape("mean", x.shape(), dims);
  return reduce("mean", x, shape, double(shape.count()) / double(x.count()));
}

}  // namespace echodiff
