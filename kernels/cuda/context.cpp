#include "kernels/cuda/context.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <string>
#include <utility>

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

// "NVIDIA H100 80GB HBM3" -> "NVIDIA_H100_80GB_HBM3-cudnn-91900.plans"
std::string plan_file(int device) {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, device));
  std::string name = properties.name;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name + "-cudnn-" + std::to_string(cudnnGetVersion()) + ".plans";
}

constexpr size_t kMostCandidates = 8;  // timed for one convolution
constexpr int kTimedRuns = 3;

using Event = Owned<cudaEvent_t, cudaEventDestroy>;
Event make_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreate(&event));
  return Event(event);
}

}  // namespace

void check_cublas(cublasStatus_t status, const char* doing, std::source_location where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  check_cuda(cudaGetLastError(), where);  // the cause, where the runtime knows it
  throw Error(status == CUBLAS_STATUS_ALLOC_FAILED ? Fault::kOutOfMemory : Fault::kInternal,
              concat_message("cublasLt: ", doing, ": ", cublasLtGetStatusString(status)), where);
}

Context::Context(const ContextOptions& options) : options_(options) {
  int count = 0;
  check_cuda(cudaGetDeviceCount(&count));  // fails where there is none
  options_.device %= count;
  check_cuda(cudaSetDevice(options_.device));
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
  if (!options.plan_folder.empty()) choices_.emplace(options.plan_folder + "/" + plan_file(options_.device));
}

Context::~Context() { cudaStreamSynchronize(stream_.get()); }  // memory is freed next

const ConvolutionPlan& Context::plan(const ConvolutionProblem& problem, const Run& run) {
  const auto found = plans_.find(problem);
  if (found != plans_.end()) return found->second;
  return plans_.emplace(problem, choose_plan(problem, run)).first->second;
}

ConvolutionPlan Context::choose_plan(const ConvolutionProblem& problem, const Run& run) {
  const PlanOptions options{options_.deterministic, options_.tf32, options_.workspace_limit};
  const std::string key = key_of(problem, options);
  if (const std::optional<PlanChoice> kept = choices_ ? choices_->find(key) : std::nullopt) {
    std::vector<ConvolutionPlan> offered = plan_candidates(problem, *device_, options, kept->position + 1);
    if (offered.size() == kept->position + 1 && offered.back().engine == kept->engine) return std::move(offered.back());
  }
  std::vector<ConvolutionPlan> offered =
      plan_candidates(problem, *device_, options, options_.autotune ? kMostCandidates : 1);
  if (!options_.autotune) return std::move(offered[0]);
  const size_t best = fastest(offered, run);
  if (choices_) choices_->add(key, {best, offered[best].engine});
  return std::move(offered[best]);
}

size_t Context::fastest(const std::vector<ConvolutionPlan>& candidates, const Run& run) {
  const Event begin = make_event(), end = make_event();
  size_t best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < candidates.size(); ++i) {
    run(candidates[i]);  // the first run of a plan loads it
    check_cuda(cudaEventRecord(begin.get(), stream()));
    for (int turn = 0; turn < kTimedRuns; ++turn) run(candidates[i]);
    check_cuda(cudaEventRecord(end.get(), stream()));
    ++synchronizations_;
    check_cuda(cudaEventSynchronize(end.get()));
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
    if (milliseconds < least) least = milliseconds, best = i;
  }
  return best;
}

const void* Context::kept_for_copy(const void* host, size_t bytes) {
  if (!tables_) return host;
  const char* const from = static_cast<const char*>(host);
  return tables_->emplace_back(from, from + bytes).data();
}

void Context::synchronize() {
  ++synchronizations_;
  check_cuda(cudaStreamSynchronize(stream()));
}

}  // namespace echodiff::cuda
