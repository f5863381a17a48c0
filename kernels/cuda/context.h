// What a device call needs: one stream, the libraries' handles on it, memory, and the plans made so far. Everything of
// a process that computes on a device goes through one of these, on one thread (backend.h has the process's own).
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <vector>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/caching_allocator.h"
#include "kernels/cuda/cudnn_graph.h"
#include "kernels/cuda/plan_choices.h"

namespace echodiff::cuda {

// Throws Error like check_cuda does; `doing` says what for.
void check_cublas(cublasStatus_t status, const char* doing,
                  std::source_location where = std::source_location::current());

// Owns a handle of a C library.
template <class Handle, auto destroy> struct Destroy {
  using pointer = Handle;
  void operator()(Handle handle) const { destroy(handle); }
};
template <class Handle, auto destroy> using Owned = std::unique_ptr<void, Destroy<Handle, destroy>>;

// Host memory that captured copies read, at each launch.
using HeldTables = std::deque<std::vector<char>>;

class Context {
 public:
  // Throws Error(kNoDevice) without a usable GPU.
  explicit Context(const ContextOptions& options);
  ~Context();
  Context(const Context&) = delete;

  Stream stream() const { return stream_.get(); }
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  cublasLtHandle_t cublas() const { return cublas_.get(); }
  CachingAllocator& memory() { return *memory_; }
  const ContextOptions& options() const { return options_; }
  // Made at the first call with a problem, kept from then on. run: computes the problem by a plan; called there to time
  // the candidates where options().autotune says so and plan_folder has no choice yet.
  const ConvolutionPlan& plan(const ConvolutionProblem& problem,
                              const std::function<void(const ConvolutionPlan&)>& run);
  void synchronize();
  int64_t synchronizations() const { return synchronizations_; }
  // `host`, or a copy of it that lives as long as the work that is being captured and reads it.
  const void* kept_for_copy(const void* host, size_t bytes);

 private:
  friend class CaptureScope;
  using Run = std::function<void(const ConvolutionPlan&)>;
  ConvolutionPlan choose_plan(const ConvolutionProblem& problem, const Run& run);
  size_t fastest(const std::vector<ConvolutionPlan>& candidates, const Run& run);

  ContextOptions options_;
  Owned<Stream, cudaStreamDestroy> stream_;
  Owned<cudnnHandle_t, cudnnDestroy> cudnn_;
  Owned<cublasLtHandle_t, cublasLtDestroy> cublas_;
  std::optional<CachingAllocator> memory_;
  std::optional<Descriptor> device_;
  std::map<ConvolutionProblem, ConvolutionPlan> plans_;
  std::optional<PlanChoices> choices_;  // with a plan_folder
  int64_t synchronizations_ = 0;
  HeldTables* tables_ = nullptr;  // while work is captured
};

// While it lives, work on the stream is captured (captured_work.h): what is freed is held in `memory`, what is copied
// from the host in `tables`.
class CaptureScope {
 public:
  CaptureScope(Context& context, HeldMemory& memory, HeldTables& tables) : context_(context) {
    context_.memory().hold_for(&memory);
    context_.tables_ = &tables;
  }
  ~CaptureScope() {
    context_.memory().hold_for(nullptr);
    context_.tables_ = nullptr;
  }
  CaptureScope(const CaptureScope&) = delete;

 private:
  Context& context_;
};

}  // namespace echodiff::cuda
