#include "kernels/cuda/context.h"

#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/cuda/check.h"
#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

void* allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, bytes);
  if (status != cudaErrorMemoryAllocation) check_cuda(status);
  if (status != cudaSuccess) cudaGetLastError();  // the allocator reports it, with names
  return data;
}

void release(void* data) {
  cudaFree(data);
}  // also in destructors, after a lost context: nothing to do about a failure

}  // namespace

Context::Context(int device, size_t memory_limit, const PlanOptions& options) : options_(options) {
  check_cuda(cudaSetDevice(device));
  Stream stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  stream_.reset(stream);
  cudnnHandle_t cudnn = nullptr;
  check_cudnn(cudnnCreate(&cudnn), "creating a handle");
  cudnn_.reset(cudnn);
  check_cudnn(cudnnSetStream(cudnn, stream), "setting the stream");
  cublasLtHandle_t cublas = nullptr;
  const cublasStatus_t status = cublasLtCreate(&cublas);
  check(status == CUBLAS_STATUS_SUCCESS, "cublasLt: creating a handle: ", cublasLtGetStatusString(status));
  cublas_.reset(cublas);
  size_t available = 0, total = 0;
  check_cuda(cudaMemGetInfo(&available, &total));
  memory_.emplace(RawMemory{allocate, release}, memory_limit == 0 ? total : std::min(memory_limit, total));
  device_.emplace(device_properties(cudnn));
}

Context::~Context() { cudaStreamSynchronize(stream_.get()); }  // memory is freed next

const ConvolutionPlan& Context::plan(const ConvolutionProblem& problem) {
  const auto found = plans_.find(problem);
  if (found != plans_.end()) return found->second;
  return plans_.emplace(problem, plan_convolution(problem, *device_, options_)).first->second;
}

void Context::synchronize() const { check_cuda(cudaStreamSynchronize(stream())); }

}  // namespace echodiff::cuda
