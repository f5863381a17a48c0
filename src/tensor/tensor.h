// Tensor: a value-semantic handle on shared memory. Copying shares, clone() copies.
// Shapes are always PyTorch's logical order: (N, C, H, W), (K, C, R, S). Memory of every rank-4 tensor is
// channels-last (N, H, W, C); every other rank is row-major. One layout per rank: no strides, no flags.
#pragma once

#include <memory>
#include <vector>

#include "kernels/thread_pool.h"
#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace echodiff {

struct Node;  // the record of the op that made a tensor (autograd.h)

class Tensor {
 public:
  Tensor() = default;  // undefined: stands for "no bias", "no gradient"

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const;
  int64_t rank() const { return shape().rank(); }
  int64_t dim(int64_t i) const;  // i < 0 counts from the end
  int64_t count() const { return shape().count(); }
  DType dtype() const;
  Device device() const;

  // The elements in memory order (channels-last for rank 4). T must be the dtype's type, and the tensor on `device`:
  // host code that meets a tensor on cuda throws instead of reading it.
  template <class T> const T* data(Device device = Device::kCpu) const {
    return static_cast<const T*>(read(dtype_of<T>(), device));
  }
  // Writing: only for freshly made tensors and, under NoGrad, for parameters. Throws if autograd recorded this tensor.
  template <class T> T* mutable_data(Device device = Device::kCpu) {
    return static_cast<T*>(write(dtype_of<T>(), device));
  }
  double item() const;                    // the value of a one-element tensor; on cuda the host waits for it
  std::vector<double> to_vector() const;  // all elements in logical row-major order; the same

  Tensor clone() const;                 // a copy, outside the graph
  Tensor detach() const;                // the same memory, outside the graph
  Tensor to(DType dtype) const;         // converted copy (outside the graph); itself when nothing changes
  Tensor to(Device device) const;       // the same; only from cuda to cpu the host waits
  void copy_from(const Tensor& other);  // same shape and dtype, any device; under NoGrad

  // Autograd (autograd.h)
  bool requires_grad() const;
  Tensor& set_requires_grad(bool on);  // leaves only
  Tensor grad() const;                 // undefined until backward() has reached this leaf
  void set_grad(Tensor grad);
  void backward(const Tensor& gradient = {}) const;  // gradient may be left out for one-element tensors
  const std::shared_ptr<Node>& node() const;
  uint64_t version() const;
  std::shared_ptr<const Storage> storage() const;  // the memory it shares
  bool same_as(const Tensor& other) const { return impl_ == other.impl_; }
  // The same memory seen under another shape with the same memory order (used by reshape).
  Tensor alias(const Shape& shape) const;

  // `count` elements that `make` computes from this tensor's (a weight packed for a kernel's inner loop): computed
  // once, kept until the next write. On the CPU.
  const float* derived(int64_t count, FunctionRef<float*> make) const;

  static Tensor make(const Shape& shape, DType dtype, Device device);  // uninitialised
  void attach(std::shared_ptr<Node> node);                             // record() only

 private:
  struct Impl;
  const void* read(DType dtype, Device device) const;
  void* write(DType dtype, Device device);
  std::shared_ptr<Impl> impl_;
};

Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = Device::kCpu);
Tensor empty(const Shape& shape, const Tensor& like);  // with its dtype, on its device
Tensor empty_like(const Tensor& x);
Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = Device::kCpu);
Tensor full(const Shape& shape, double value, DType dtype = DType::f32, Device device = Device::kCpu);
Tensor arange(int64_t n);  // i64: 0, 1, .., n-1
// f32 of `shape` (N, ...): row n holds the standard normal numbers of (seed, streams[n], steps[n]) (kernels/philox.h).
Tensor normal_rows(const Shape& shape, uint64_t seed, const std::vector<int64_t>& streams,
                   const std::vector<int64_t>& steps, Device device = Device::kCpu);
// From values in logical row-major order.
Tensor from_vector(const Shape& shape, const std::vector<double>& values, DType dtype = DType::f32);
Tensor from_values(const Shape& shape, const float* values);  // f32, logical row-major order
Tensor from_indices(const std::vector<int64_t>& values);      // i64 (n)

}  // namespace echodiff
