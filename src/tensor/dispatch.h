// Where an op's work is done: on the CPU in f32 or f64, or on the device in f32 or bf16, as its operands are.
//
//   dispatch(x, "softmax",
//            [&]<class T>(T) { reference::softmax_forward(geo, x.data<T>(), y.mutable_data<T>()); },
//            [&]<class T>(DeviceCall& gpu) { cuda::softmax_forward(geo, gpu.in<T>(x), gpu.out<T>(y), gpu.stream()); });
//
// On the device T is how activations are stored; parameters and statistics stay f32: gpu.in(weight). An op without
// bf16 kernels has no <class T> there. A build without CUDA never instantiates a call of the second function.
#pragma once

#include <vector>

#include "kernels/cuda/backend.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace echodiff {

// What the device's side of one op works with. Its working memory is given back at the end of the op: all work is on
// one stream, so what was enqueued has used it before anybody else does.
class DeviceCall {
 public:
  explicit DeviceCall(const char* op) : op_(op) {}
  DeviceCall(const DeviceCall&) = delete;

  cuda::Stream stream() const { return cuda::stream(); }
  cuda::Context& context() const { return cuda::context(); }

  // Operands and results, from element `first` on; null where undefined. Throws where one is not on the device.
  template <class T = float> const T* in(const Tensor& x, int64_t first = 0) const {
    return x ? element(x.data<T>(Device::kCuda), first) : nullptr;
  }
  template <class T = float> T* out(Tensor& x, int64_t first = 0) const {
    return x ? element(x.mutable_data<T>(Device::kCuda), first) : nullptr;
  }
  // n uninitialised elements.
  template <class T> T* scratch(int64_t n) {
    buffers_.push_back(cuda::allocate(size_t(n) * sizeof(T), concat_message("the working memory of ", op_)));
    return static_cast<T*>(buffers_.back().data());
  }
  // A copy of a table of the host. The host doesn't wait.
  template <class T, class Allocator> const T* table(const std::vector<T, Allocator>& values) {
    T* copy = scratch<T>(int64_t(values.size()));
    cuda::copy_to_device(copy, values.data(), values.size() * sizeof(T));
    return copy;
  }
  // n values back on the host, which waits for them.
  template <class T> std::vector<T> read(const T* values, int64_t n) const {
    std::vector<T> copy(static_cast<size_t>(n));
    cuda::copy_to_host(copy.data(), values, copy.size() * sizeof(T));
    return copy;
  }

 private:
  const char* op_;
  PoolVector<cuda::DeviceBuffer> buffers_;
};

// on_cuda(DeviceCall&) where x is on the device, else on_cpu().
template <class OnCpu, class OnCuda>
void on_device_of(const Tensor& x, const char* op, OnCpu&& on_cpu, OnCuda&& on_cuda) {
  if constexpr (cuda::kBuiltWithCuda) {
    if (x.device() == Device::kCuda) {
      DeviceCall call(op);
      on_cuda(call);
      return;
    }
  }
  on_cpu();
}

// on_cuda<T>(DeviceCall&) with T the storage of x, or on_cpu(T) with T of x's dtype. An on_cuda(DeviceCall&) that is no
// template computes in f32 alone.
template <class OnCpu, class OnCuda> void dispatch(const Tensor& x, const char* op, OnCpu&& on_cpu, OnCuda&& on_cuda) {
  if constexpr (cuda::kBuiltWithCuda) {
    if (x.device() == Device::kCuda) {
      DeviceCall call(op);
      const bool rounded = x.dtype() == DType::bf16;
      if constexpr (requires { on_cuda.template operator()<float>(call); }) {
        if (rounded) return on_cuda.template operator()<Bfloat16>(call);
        return on_cuda.template operator()<float>(call);
      } else {
        check(!rounded, op, ": computes in f32, got bf16; cast its operands");
        return on_cuda(call);
      }
    }
  }
  dispatch(x.dtype(), op, on_cpu);
}

}  // namespace echodiff
