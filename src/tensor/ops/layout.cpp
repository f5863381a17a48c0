#include "kernels/layout.h"

#include <algorithm>

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/broadcast.h"

namespace echodiff {
namespace {

// Copies `sizes` elements (in any order of dimensions) from x at `from` to y at `to`, both with their own strides.
void copy(const CopyGeometry& geo, const Tensor& x, int64_t from, Tensor& y, int64_t to) {
  check(x.dtype() == y.dtype(), "copy: ", name_of(x.dtype()), " to ", name_of(y.dtype()));
  const auto run = [&]<class T>(T) { reference::strided_copy(geo, x.data<T>() + from, y.mutable_data<T>() + to); };
  on_device_of(
      x, "copy",
      [&] {
        if (x.dtype() == DType::f32) return run(float{});
        if (x.dtype() == DType::f64) return run(double{});
        return run(int64_t{});
      },
      [&](DeviceCall& gpu) {
        if (x.dtype() == DType::i64)
          cuda::strided_copy(geo, gpu.in<int64_t>(x, from), gpu.out<int64_t>(y, to), gpu.stream());
        else if (x.dtype() == DType::bf16)
          cuda::strided_copy(geo, gpu.in<Bfloat16>(x, from), gpu.out<Bfloat16>(y, to), gpu.stream());
        else
          cuda::strided_copy(geo, gpu.in(x, from), gpu.out(y, to), gpu.stream());
      });
}

// The walk over a block of `shape`, in the memory order that shape has.
CopyGeometry walk(const Shape& shape, const PoolVector<int64_t>& from, const PoolVector<int64_t>& to) {
  CopyGeometry geo;
  for (int64_t dim : shape.memory_order()) geo.push_back({shape[dim], {from[size_t(dim)], to[size_t(dim)]}});
  return geo;
}

PoolVector<int64_t> row_major_strides(const Shape& shape) {
  PoolVector<int64_t> strides(size_t(shape.rank()), 1);
  for (int64_t i = shape.rank() - 2; i >= 0; --i) strides[size_t(i)] = strides[size_t(i) + 1] * shape[i + 1];
  return strides;
}

// Whether memory holds the elements in logical order although the rank is 4.
bool is_row_major(const Shape& shape) { return shape.rank() != 4 || shape[1] == 1 || shape[2] * shape[3] == 1; }

// Logical order is kept; memory is shared when it doesn't change either.
Tensor reshaped(const Tensor& x, const Shape& shape) {
  const Shape& before = x.shape();
  const bool same_images = before.rank() == 4 && shape.rank() == 4 && before[0] == shape[0] && before[1] == shape[1];
  if (before == shape || same_images || (is_row_major(before) && is_row_major(shape))) return x.alias(shape);
  Tensor flat = x;
  if (!is_row_major(before)) {
    flat = empty({x.count()}, x);
    copy(walk(before, before.strides(), row_major_strides(before)), x, 0, flat, 0);
  }
  if (is_row_major(shape)) return flat.alias(shape);
  Tensor y = empty(shape, x);
  copy(walk(shape, row_major_strides(shape), shape.strides()), flat, 0, y, 0);
  return y;
}

// y.dim(i) = x.dim(order[i])
Tensor permuted(const Tensor& x, const PoolVector<int64_t>& order) {
  const PoolVector<int64_t> strides = x.shape().strides();
  PoolVector<int64_t> sizes, from;
  for (int64_t dim : order) {
    sizes.push_back(x.dim(dim));
    from.push_back(strides[size_t(dim)]);
  }
  Tensor y = empty(Shape(sizes), x);
  copy(walk(y.shape(), from, y.shape().strides()), x, 0, y, 0);
  return y;
}

int64_t axis_of(const char* op, const Tensor& x, int64_t dim) {
  const int64_t axis = dim < 0 ? dim + x.rank() : dim;
  check(axis >= 0 && axis < x.rank(), op, ": no dimension ", dim, " in x ", x.shape());
  return axis;
}

// Copies all of `part` to the place in `whole` that starts at `begin` along `dim`, or back.
void put_part(const Tensor& part, Tensor& whole, int64_t dim, int64_t begin) {
  const PoolVector<int64_t> strides = whole.shape().strides();
  copy(walk(part.shape(), part.shape().strides(), strides), part, 0, whole, begin * strides[size_t(dim)]);
}
// Parts of one shape, one behind the other, on the device: one launch.
void put_rows(std::span<const Tensor> parts, Tensor& whole, DeviceCall& gpu) {
  const auto run = [&]<class T>(const T*) {
    std::vector<const T*> rows;
    for (const Tensor& part : parts) rows.push_back(gpu.in<T>(part));
    cuda::concat_rows(gpu.table(rows), int64_t(rows.size()), parts[0].count(), gpu.out<T>(whole), gpu.stream());
  };
  if (whole.dtype() == DType::i64)
    run(gpu.in<int64_t>(whole));
  else if (whole.dtype() == DType::bf16)
    run(gpu.in<Bfloat16>(whole));
  else
    run(gpu.in(whole));
}
Tensor take_part(const Tensor& whole, int64_t dim, int64_t begin, int64_t end) {
  Shape shape = whole.shape();
  shape[dim] = end - begin;
  Tensor part = empty(shape, whole);
  const PoolVector<int64_t> strides = whole.shape().strides();
  copy(walk(shape, strides, shape.strides()), whole, begin * strides[size_t(dim)], part, 0);
  return part;
}

}  // namespace

Shape broadcast_shape(const char* op, const Shape& a, const Shape& b) {
  if (a.rank() == 0) return b;
  if (b.rank() == 0) return a;
  bool fits = a.rank() == b.rank();
  Shape shape = a;
  for (int64_t i = 0; fits && i < a.rank(); ++i) {
    fits = a[i] == b[i] || a[i] == 1 || b[i] == 1;
    shape[i] = a[i] == 1 ? b[i] : a[i];
  }
  check(fits, op, ": shapes ", a, " and ", b, " don't broadcast: ranks must be equal, sizes equal or 1");
  return shape;
}

PoolVector<int64_t> broadcast_strides(const Shape& from, const Shape& to) {
  if (from.rank() == 0) return PoolVector<int64_t>(size_t(to.rank()), 0);
  PoolVector<int64_t> strides = from.strides();
  for (int64_t i = 0; i < from.rank(); ++i)
    if (from[i] == 1) strides[size_t(i)] = 0;
  return strides;
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  Tensor y = empty(shape, x);
  copy(walk(shape, broadcast_strides(x.shape(), shape), shape.strides()), x, 0, y, 0);
  return y;
}

Tensor reshape(const Tensor& x, const Shape& shape) {
  Shape target = shape;
  int64_t known = 1, unknown = -1;
  for (int64_t i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && unknown < 0)
      unknown = i;
    else
      known *= shape[i];
  }
  if (unknown >= 0 && known > 0 && x.count() % known == 0) target[unknown] = x.count() / known;
  check(target.count() == x.count() && known >= 0 && (unknown < 0 || target[unknown] >= 0), "reshape: x ", x.shape(),
        " has ", x.count(), " elements and can't become ", shape);
  return record("reshape", reshaped(x, target), {x},
                [before = x.shape()](const Tensor& dy) -> Gradients { return {reshaped(dy, before)}; });
}

Tensor permute(const Tensor& x, const PoolVector<int64_t>& order) {
  PoolVector<int64_t> inverse(order.size(), -1);
  bool valid = int64_t(order.size()) == x.rank();
  for (size_t i = 0; valid && i < order.size(); ++i) {
    valid = order[i] >= 0 && order[i] < x.rank() && inverse[size_t(order[i])] < 0;
    if (valid) inverse[size_t(order[i])] = int64_t(i);
  }
  check(valid, "permute: ", Shape(order), " is no order of the dimensions of x ", x.shape());
  return record("permute", permuted(x, order), {x},
                [inverse](const Tensor& dy) -> Gradients { return {permuted(dy, inverse)}; });
}

Tensor expand(const Tensor& x, const Shape& shape) {
  check(broadcast_shape("expand", x.shape(), shape) == shape, "expand: x ", x.shape(), " can't be repeated to ", shape,
        "; only sizes of 1 can");
  return record("expand", broadcast_to(x, shape), {x},
                [before = x.shape()](const Tensor& dy) -> Gradients { return {sum_to(dy, before)}; });
}

Tensor concat(std::initializer_list<Tensor> parts, int64_t dim) {
  return concat(std::span(parts.begin(), parts.size()), dim);
}
Tensor concat(std::span<const Tensor> parts, int64_t dim) {
  check(!parts.empty(), "concat: no tensors");
  const int64_t axis = axis_of("concat", parts[0], dim);
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape others = part.shape();
    check(others.rank() == shape.rank() && part.dtype() == parts[0].dtype(), "concat: ", part.shape(), " ",
          name_of(part.dtype()), " with ", parts[0].shape(), " ", name_of(parts[0].dtype()));
    others[axis] = shape[axis];
    check(others == shape, "concat: ", part.shape(), " and ", parts[0].shape(), " differ outside dimension ", dim);
    shape[axis] += part.dim(axis);
  }
  Tensor y = empty(shape, parts[0]);
  const auto one_by_one = [&] {
    int64_t begin = 0;
    for (const Tensor& part : parts) {
      put_part(part, y, axis, begin);
      begin += part.dim(axis);
    }
  };
  const bool alike =
      std::all_of(parts.begin(), parts.end(), [&](const Tensor& part) { return part.shape() == parts[0].shape(); });
  if (axis == 0 && alike)
    on_device_of(y, "concat", one_by_one, [&](DeviceCall& gpu) { put_rows(parts, y, gpu); });
  else
    one_by_one();
  struct Part {
    int64_t begin, end;
    bool needed;
  };
  PoolVector<Part> places;
  for (const Tensor& part : parts) {
    const int64_t begin = places.empty() ? 0 : places.back().end;
    places.push_back({begin, begin + part.dim(axis), part.requires_grad()});
  }
  return record("concat", y, parts, [places, axis](const Tensor& dy) -> Gradients {
    Gradients gradients;
    for (const Part& part : places)
      gradients.push_back(part.needed ? take_part(dy, axis, part.begin, part.end) : Tensor());
    return gradients;
  });
}

Tensor slice(const Tensor& x, int64_t dim, int64_t begin, int64_t end) {
  const int64_t axis = axis_of("slice", x, dim);
  check(begin >= 0 && begin <= end && end <= x.dim(axis), "slice: [", begin, ", ", end, ") is not in dimension ", dim,
        " of x ", x.shape());
  return record("slice", take_part(x, axis, begin, end), {x}, [=, before = x.shape()](const Tensor& dy) -> Gradients {
    Tensor dx = zeros(before, dy.dtype(), dy.device());
    put_part(dy, dx, axis, begin);
    return {dx};
  });
}

Tensor to_tokens(const Tensor& x) {
  check(x.rank() == 4, "to_tokens: x must be (N, C, H, W), got ", x.shape());
  return record("to_tokens", x.alias({x.dim(0), x.dim(2) * x.dim(3), x.dim(1)}), {x},
                [before = x.shape()](const Tensor& dy) -> Gradients { return {dy.alias(before)}; });
}

Tensor to_image(const Tensor& x, int64_t height, int64_t width) {
  check(x.rank() == 3 && x.dim(1) == height * width, "to_image: x must be (N, ", height * width, ", C) for ", height,
        " x ", width, ", got ", x.shape());
  return record("to_image", x.alias({x.dim(0), x.dim(2), height, width}), {x},
                [before = x.shape()](const Tensor& dy) -> Gradients { return {dy.alias(before)}; });
}

}  // namespace echodiff
