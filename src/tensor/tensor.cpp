#include "tensor/tensor.h"

#include <algorithm>
#include <cstring>

#include "kernels/cast.h"
#include "kernels/cuda/backend.h"
#include "tensor/autograd.h"

namespace echodiff {
namespace {

// f(T{}) with the type that memory of the host holds.
template <class F> void with_host_type(DType dtype, F&& f) {
  if (dtype == DType::f32) return f(float{});
  if (dtype == DType::f64) return f(double{});
  f(int64_t{});
}

// f(number, place in memory) for each element, in logical row-major order.
template <class F> void walk_logical(const Shape& shape, F&& f) {
  const PoolVector<int64_t> strides = shape.strides();
  PoolVector<int64_t> index(size_t(shape.rank()), 0);
  const int64_t n = shape.count();
  for (int64_t i = 0; i < n; ++i) {
    int64_t offset = 0;
    for (size_t d = 0; d < index.size(); ++d) offset += index[d] * strides[d];
    f(i, offset);
    for (int64_t d = shape.rank() - 1; d >= 0 && ++index[size_t(d)] == shape[d]; --d) index[size_t(d)] = 0;
  }
}

// Elements between any two devices. Only a copy to the host waits.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (to_device == Device::kCpu && from_device == Device::kCpu) {
    std::memcpy(to, from, bytes);
    return;
  }
  if constexpr (cuda::kBuiltWithCuda) {
    if (to_device == Device::kCpu)
      cuda::copy_to_host(to, from, bytes);
    else if (from_device == Device::kCpu)
      cuda::copy_to_device(to, from, bytes);
    else
      cuda::copy_on_device(to, from, bytes);
  }
}

}  // namespace

struct Tensor::Impl {
  Shape shape;
  DType dtype = DType::f32;
  std::shared_ptr<Storage> storage;
  std::shared_ptr<Storage> derived;  // of the elements at derived_version
  uint64_t derived_version = 0;
  bool requires_grad = false;
  std::shared_ptr<Node> node;
  Tensor grad;
};

const Shape& Tensor::shape() const {
  check(defined(), "tensor: undefined");
  return impl_->shape;
}
int64_t Tensor::dim(int64_t i) const {
  const int64_t at = i < 0 ? i + rank() : i;
  check(at >= 0 && at < rank(), "tensor: no dimension ", i, " in shape ", shape());
  return shape()[at];
}
DType Tensor::dtype() const {
  check(defined(), "tensor: undefined");
  return impl_->dtype;
}

Device Tensor::device() const {
  check(defined(), "tensor: undefined");
  return impl_->storage->device();
}

const void* Tensor::read(DType dtype, Device device) const {
  check(defined(), "tensor: undefined");
  check(dtype == impl_->dtype, "tensor: read as ", name_of(dtype), " but holds ", name_of(impl_->dtype));
  check(device == impl_->storage->device(), "tensor: ", impl_->shape, " is on ", name_of(impl_->storage->device()),
        ", expected on ", name_of(device), "; all operands of an op must be on one device, move them with to()");
  return impl_->storage->data();
}
void* Tensor::write(DType dtype, Device device) {
  void* data = const_cast<void*>(read(dtype, device));
  check(!impl_->node, "tensor: writing to the output of ", impl_->node ? impl_->node->op : "", "; ops are pure");
  check(!(impl_->requires_grad && grad_enabled()), "tensor: writing to a leaf outside NoGrad");
  impl_->storage->bump_version();
  return data;
}

double Tensor::item() const {
  check(count() == 1, "item: expected one element, got shape ", shape());
  return to_vector()[0];
}

std::vector<double> Tensor::to_vector() const {
  if (device() != Device::kCpu) return (dtype() == DType::bf16 ? to(DType::f32) : *this).to(Device::kCpu).to_vector();
  std::vector<double> values(static_cast<size_t>(count()));
  with_host_type(dtype(), [&]<class T>(T) {
    const T* from = data<T>();
    walk_logical(shape(), [&](int64_t i, int64_t offset) { values[size_t(i)] = double(from[offset]); });
  });
  return values;
}

Tensor Tensor::clone() const {
  Tensor copy = make(shape(), dtype(), device());
  copy_bytes(copy.impl_->storage->data(), device(), impl_->storage->data(), device(),
             size_t(count() * size_of(dtype())));
  return copy;
}
Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  Tensor copy = make(shape(), dtype(), target);
  copy_bytes(copy.impl_->storage->data(), target, impl_->storage->data(), device(), size_t(count() * size_of(dtype())));
  return copy;
}
Tensor Tensor::detach() const { return alias(shape()); }
Tensor Tensor::alias(const Shape& other) const {
  check(other.count() == count(), "alias: ", shape(), " and ", other, " have different counts");
  Tensor view;
  view.impl_ = std::allocate_shared<Impl>(PoolAllocator<Impl>());
  view.impl_->shape = other;
  view.impl_->dtype = dtype();
  view.impl_->storage = impl_->storage;
  return view;
}
Tensor Tensor::to(DType target) const {
  if (target == dtype()) return *this;
  Tensor out = make(shape(), target, device());
  const int64_t n = count();
  if constexpr (cuda::kBuiltWithCuda) {
    if (target == DType::bf16 || dtype() == DType::bf16) {
      if (target == DType::bf16)
        cuda::cast(n, data<float>(Device::kCuda), out.mutable_data<Bfloat16>(Device::kCuda), cuda::stream());
      else
        cuda::cast(n, data<Bfloat16>(Device::kCuda), out.mutable_data<float>(Device::kCuda), cuda::stream());
      return out;
    }
  }
  with_host_type(dtype(), [&]<class From>(From) {
    with_host_type(target, [&]<class Into>(Into) {
      const From* from = data<From>();
      Into* into = out.mutable_data<Into>();
      for (int64_t i = 0; i < n; ++i) into[i] = Into(from[i]);
    });
  });
  return out;
}
void Tensor::copy_from(const Tensor& other) {
  check(shape() == other.shape() && dtype() == other.dtype(), "copy_from: ", shape(), " ", name_of(dtype()), " from ",
        other.shape(), " ", name_of(other.dtype()));
  copy_bytes(write(dtype(), device()), device(), other.read(dtype(), other.device()), other.device(),
             size_t(count() * size_of(dtype())));
}

bool Tensor::requires_grad() const { return defined() && (impl_->requires_grad || impl_->node); }
Tensor& Tensor::set_requires_grad(bool on) {
  check(!node(), "set_requires_grad: only leaves have it set");
  check(!on || dtype() != DType::i64, "set_requires_grad: i64 tensors have no gradient");
  impl_->requires_grad = on;
  return *this;
}
Tensor Tensor::grad() const { return defined() ? impl_->grad : Tensor(); }
void Tensor::set_grad(Tensor grad) {
  check(!grad.defined() || grad.shape() == shape(), "set_grad: gradient ", grad.defined() ? grad.shape() : Shape(),
        " for a tensor ", shape());
  impl_->grad = std::move(grad);
}
const float* Tensor::derived(int64_t count, FunctionRef<float*> make) const {
  check(defined(), "tensor: undefined");
  if (impl_->derived == nullptr || impl_->derived_version != version()) {
    impl_->derived = nullptr;  // its memory may serve again
    const std::shared_ptr<Storage> made =
        std::allocate_shared<Storage>(PoolAllocator<Storage>(), count * int64_t(sizeof(float)));
    make(static_cast<float*>(made->data()));
    impl_->derived = made;
    impl_->derived_version = version();
  }
  return static_cast<const float*>(impl_->derived->data());
}

const std::shared_ptr<Node>& Tensor::node() const {
  check(defined(), "tensor: undefined");
  return impl_->node;
}
void Tensor::attach(std::shared_ptr<Node> node) { impl_->node = std::move(node); }
uint64_t Tensor::version() const { return impl_->storage->version(); }
std::shared_ptr<const Storage> Tensor::storage() const { return impl_->storage; }

Tensor Tensor::make(const Shape& shape, DType dtype, Device device) {
  for (int64_t size : shape.sizes()) check(size >= 0, "tensor: negative size in ", shape);
  check_input(dtype != DType::bf16 || device == Device::kCuda, Fault::kUsage, "tensor: ", shape,
              " of bf16 on the CPU, which computes in f32; use device cuda, or precision f32");
  Tensor x;
  x.impl_ = std::allocate_shared<Impl>(PoolAllocator<Impl>());
  x.impl_->shape = shape;
  x.impl_->dtype = dtype;
  const int64_t bytes = shape.count() * size_of(dtype);
  const PoolAllocator<Storage> pooled;
  x.impl_->storage =
      device == Device::kCpu
          ? std::allocate_shared<Storage>(pooled, bytes)
          : std::allocate_shared<Storage>(pooled, bytes, concat_message("a tensor ", shape, " ", name_of(dtype)));
  return x;
}

Tensor empty(const Shape& shape, DType dtype, Device device) { return Tensor::make(shape, dtype, device); }
Tensor empty(const Shape& shape, const Tensor& like) { return Tensor::make(shape, like.dtype(), like.device()); }
Tensor empty_like(const Tensor& x) { return Tensor::make(x.shape(), x.dtype(), x.device()); }

Tensor full(const Shape& shape, double value, DType dtype, Device device) {
  if (dtype == DType::bf16) return full(shape, value, DType::f32, device).to(dtype);
  if (device != Device::kCpu) return full(shape, value, dtype).to(device);
  Tensor x = empty(shape, dtype);
  with_host_type(dtype, [&]<class T>(T) { std::fill_n(x.mutable_data<T>(), x.count(), T(value)); });
  return x;
}
Tensor zeros(const Shape& shape, DType dtype, Device device) { return full(shape, 0, dtype, device); }

Tensor arange(int64_t n) {
  Tensor x = empty({n}, DType::i64);
  int64_t* values = x.mutable_data<int64_t>();
  for (int64_t i = 0; i < n; ++i) values[i] = i;
  return x;
}

Tensor from_vector(const Shape& shape, const std::vector<double>& values, DType dtype) {
  check(int64_t(values.size()) == shape.count(), "from_vector: ", values.size(), " values for shape ", shape);
  Tensor x = empty(shape, dtype);
  with_host_type(dtype, [&]<class T>(T) {
    T* out = x.mutable_data<T>();
    walk_logical(shape, [&](int64_t i, int64_t offset) { out[offset] = T(values[size_t(i)]); });
  });
  return x;
}
Tensor from_values(const Shape& shape, const float* values) {
  Tensor x = empty(shape);
  float* out = x.mutable_data<float>();
  walk_logical(shape, [&](int64_t i, int64_t offset) { out[offset] = values[i]; });
  return x;
}
Tensor from_indices(const std::vector<int64_t>& values) {
  Tensor x = empty({int64_t(values.size())}, DType::i64);
  std::copy(values.begin(), values.end(), x.mutable_data<int64_t>());
  return x;
}

}  // namespace echodiff
