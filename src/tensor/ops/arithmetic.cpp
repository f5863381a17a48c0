#include "kernels/elementwise.h"
#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

// An operand whose gradient is the output's, summed over what was repeated.
struct Summed {
  Shape shape;
  bool needed;
  explicit Summed(const Tensor& x) : shape(x.shape()), needed(x.requires_grad()) {}
  Tensor gradient(const Tensor& dy, double scale = 1) const { return needed ? sum_to(dy, shape, scale) : Tensor(); }
};

const char* name_of(Arithmetic kind) {
  switch (kind) {
    case Arithmetic::add: return "add";
    case Arithmetic::sub: return "sub";
    case Arithmetic::mul: return "mul";
    case Arithmetic::div: return "div";
  }
  return "";
}

// The values alone, outside the graph.
Tensor compute(Arithmetic kind, const Tensor& a, const Tensor& b) {
  const char* op = name_of(kind);
  check(a.dtype() == b.dtype(), op, ": a is ", echodiff::name_of(a.dtype()), ", b is ", echodiff::name_of(b.dtype()));
  const Shape shape = broadcast_shape(op, a.shape(), b.shape());
  const PoolVector<int64_t> a_strides = broadcast_strides(a.shape(), shape),
                            b_strides = broadcast_strides(b.shape(), shape), strides = shape.strides();
  BroadcastGeometry geo;
  for (int64_t dim : shape.memory_order())
    geo.push_back({shape[dim], {a_strides[size_t(dim)], b_strides[size_t(dim)], strides[size_t(dim)]}});
  Tensor y = empty(shape, a);
  dispatch(
      a, op, [&]<class T>(T) { reference::arithmetic(kind, geo, a.data<T>(), b.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::arithmetic(kind, geo, gpu.in<T>(a), gpu.in<T>(b), gpu.out<T>(y), gpu.stream());
      });
  return y;
}

Tensor scaled(const Tensor& x, double scale, double offset) {
  Tensor y = empty_like(x);
  dispatch(
      x, "affine", [&]<class T>(T) { reference::affine(x.count(), x.data<T>(), scale, offset, y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::affine(x.count(), gpu.in<T>(x), scale, offset, gpu.out<T>(y), gpu.stream());
      });
  return y;
}

ChannelGeometry channel_geometry(const char* op, const Tensor& x, const Tensor& e, int64_t per_channel) {
  check(x.rank() == 4, op, ": x must be (N, C, H, W), got ", x.shape());
  check(e.shape() == Shape{x.dim(0), per_channel * x.dim(1)} && e.dtype() == x.dtype(), op, ": for x ", x.shape(), " ",
        echodiff::name_of(x.dtype()), " expected (", x.dim(0), ", ", per_channel * x.dim(1), "), got ", e.shape(), " ",
        echodiff::name_of(e.dtype()));
  return {x.dim(0), x.dim(2) * x.dim(3), x.dim(1)};
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return record("add", compute(Arithmetic::add, a, b), {a, b},
                [first = Summed(a), second = Summed(b)](const Tensor& dy) -> Gradients {
                  return {first.gradient(dy), second.gradient(dy)};
                });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return record("sub", compute(Arithmetic::sub, a, b), {a, b},
                [first = Summed(a), second = Summed(b)](const Tensor& dy) -> Gradients {
                  return {first.gradient(dy), second.gradient(dy, -1)};
                });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record("mul", compute(Arithmetic::mul, a, b), {a, b}, [=](const Tensor& dy) -> Gradients {
    Tensor da, db;
    if (a.requires_grad()) da = sum_to(compute(Arithmetic::mul, dy, b), a.shape());
    if (b.requires_grad()) db = sum_to(compute(Arithmetic::mul, dy, a), b.shape());
    return {da, db};
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  const Tensor y = compute(Arithmetic::div, a, b);
  return record("div", y, {a, b}, [a, b, y = y.detach()](const Tensor& dy) -> Gradients {
    const Tensor quotient = compute(Arithmetic::div, dy, b);
    Tensor da, db;
    if (a.requires_grad()) da = sum_to(quotient, a.shape());
    if (b.requires_grad()) db = sum_to(compute(Arithmetic::mul, quotient, y), b.shape(), -1);
    return {da, db};
  });
}

Tensor affine(const Tensor& x, double scale, double offset) {
  return record("affine", scaled(x, scale, offset), {x},
                [scale](const Tensor& dy) -> Gradients { return {scale == 1 ? dy : scaled(dy, scale, 0)}; });
}

Tensor add_channel(const Tensor& x, const Tensor& embedded) {
  const Tensor e = rounded_like(x, embedded);
  const ChannelGeometry geo = channel_geometry("add_channel", x, e, 1);
  Tensor y = empty_like(x);
  dispatch(
      x, "add_channel", [&]<class T>(T) { reference::add_channel(geo, x.data<T>(), e.data<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::add_channel(geo, gpu.in<T>(x), gpu.in<T>(e), gpu.out<T>(y), gpu.stream());
      });
  return record("add_channel", y, {x, e}, [geo, e](const Tensor& dy) -> Gradients {
    if (!e.requires_grad()) return {dy, Tensor()};
    return {dy, sum_to(dy, {geo.N, geo.C, 1, 1}).alias({geo.N, geo.C})};
  });
}

Tensor scale_shift(const Tensor& x, const Tensor& scale_and_shift) {
  const Tensor e = rounded_like(x, scale_and_shift);  // (N, 2C)
  const ChannelGeometry geo = channel_geometry("scale_shift", x, e, 2);
  Tensor y = empty_like(x);
  dispatch(
      x, "scale_shift",
      [&]<class T>(T) { reference::scale_shift(geo, x.data<T>(), e.data<T>(), false, y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        cuda::scale_shift(geo, gpu.in<T>(x), gpu.in<T>(e), false, gpu.out<T>(y), gpu.stream());
      });
  return record("scale_shift", y, {x, e}, [geo, x, e](const Tensor& dy) -> Gradients {
    Tensor dx = gradient_for(x), de = gradient_for(e);
    dispatch(
        x, "scale_shift",
        [&]<class T>(T) {
          if (dx) reference::scale_shift(geo, dy.data<T>(), e.data<T>(), true, dx.mutable_data<T>());
          if (de) reference::scale_shift_backward(geo, x.data<T>(), dy.data<T>(), de.mutable_data<T>());
        },
        [&]<class T>(DeviceCall& gpu) {
          if (dx) cuda::scale_shift(geo, gpu.in<T>(dy), gpu.in<T>(e), true, gpu.out<T>(dx), gpu.stream());
          if (de)
            cuda::scale_shift_backward(geo, gpu.in<T>(x), gpu.in<T>(dy), gpu.out<T>(de),
                                       gpu.scratch<float>(cuda::scale_shift_backward_scratch(geo)), gpu.stream());
        });
    return {dx, de};
  });
}

}  // namespace echodiff
