#include "kernels/cuda/context.h"

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

void* allocate_raw(size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status != cudaErrorMemoryAllocation) check_cuda(status);
  if (status != cudaSuccess) cudaGetLastError();  // the allocator reports it, with names
  return data;
}

// Also in destructors, after a lost context: nothing to do about a failure.
void release_raw(void* data) { cudaFree(data); }

}  // namespace

void check_cublas(cublasStatus_t status, const char* doing, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  check_cuda(cudaGetLastError(), where);  // the cause, where the runtime knows it
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? Fault::kOutOfMemory : Fault::kInternal,
              concat_message("cublasLt: ", doing, ": ", cublasLtGetStatusString(status)), where);
}

Context::Context(const ContextOptions& options) : options_(options) {
  check_cuda(cudaSetDevice(options.device));
  Stream stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_.reset(stream);
  cudnnHandle_t cudnn = nullptr;
  check_cudnn(cudnnCreate(&cudnn), "creating a handle");
  cudnn_.reset(cudnn);
  check_cudnn(cudnnSetStream(cudnn, stream), "setting the stream");
  cublasLtHandle_t cublas = nullptr;
  check_cublas(cublasLtCreate(&cublas), "creating a handle");
  cublas_.reset(cublas);
  size_t available = 0, total = 0;
  check_cuda(cudaMemGetInfo(&available, &total));
  memory_.emplace(RawMemory{allocate_raw, release_raw},
                  options.memory_limit == 0 ? total : std::min(options.memory_limit, total));
  device_.emplace(device_properties(cudnn));
}

Context::~Context() { cudaStreamSynchronize(stream_.get()); }  // memory is freed next

const ConvolutionPlan& Context::plan(const ConvolutionProblem& problem) {
  const auto found = plans_.find(problem);
  if (found != plans_.end()) return found->second;
  const PlanOptions options{options_.deterministic, options_.tf32, options_.workspace_limit};
  return plans_.emplace(problem, plan_convolution(problem, *device_, options)).first->second;
}

void Context::synchronize() {
  ++synchronizations_;
  check_cuda(cudaStreamSynchronize(stream()));
}

}  // namespace echodiff::cuda
