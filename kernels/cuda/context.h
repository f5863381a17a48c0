// What a device call needs: one stream, the libraries' handles on it, memory, and the plans made so far. Everything of
// a process that computes on a device goes through one of these, on one thread.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <map>
#include <memory>
#include <optional>

#include "kernels/cuda/caching_allocator.h"
#include "kernels/cuda/cudnn_graph.h"
#include "kernels/cuda/stream.h"

namespace echodiff::cuda {

class Context {
 public:
  // memory_limit: bytes, 0 for what the device has. Throws Error(kNoDevice) without a usable GPU.
  Context(int device, size_t memory_limit, const PlanOptions& options);
  ~Context();
  Context(const Context&) = delete;

  Stream stream() const { return stream_.get(); }
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  cublasLtHandle_t cublas() const { return cublas_.get(); }
  CachingAllocator& memory() { return *memory_; }
  const PlanOptions& options() const { return options_; }
  // Made at the first call with a problem, kept from then on.
  const ConvolutionPlan& plan(const ConvolutionProblem& problem);
  void synchronize() const;

 private:
  template <class Handle, auto destroy>
  struct Destroy {
    using pointer = Handle;
    void operator()(Handle handle) const { destroy(handle); }
  };
  template <class Handle, auto destroy>
  using Owned = std::unique_ptr<void, Destroy<Handle, destroy>>;

  PlanOptions options_;
  Owned<Stream, cudaStreamDestroy> stream_;
  Owned<cudnnHandle_t, cudnnDestroy> cudnn_;
  Owned<cublasLtHandle_t, cublasLtDestroy> cublas_;
  std::optional<CachingAllocator> memory_;
  std::optional<Descriptor> device_;
  std::map<ConvolutionProblem, ConvolutionPlan> plans_;
};

}  // namespace echodiff::cuda
