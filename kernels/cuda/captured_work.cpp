#include "kernels/cuda/captured_work.h"

#include <cuda_runtime_api.h>

#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/cuda/context.h"

namespace echodiff::cuda {
namespace {

using RawGraph = Owned<cudaGraph_t, cudaGraphDestroy>;

// Ends the capture however the work ends: a stream that stays in it can't be used again.
RawGraph capture(const std::function<void()>& enqueue) {
  // Relaxed: memory may be asked for meanwhile.
  check_cuda(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed));
  cudaGraph_t graph = nullptr;
  try {
    enqueue();
  } catch (...) {
    if (cudaStreamEndCapture(stream(), &graph) == cudaSuccess) RawGraph(graph).reset();
    cudaGetLastError();
    throw;
  }
  check_cuda(cudaStreamEndCapture(stream(), &graph));
  return RawGraph(graph);
}

}  // namespace

struct CapturedWork::Graph {
  HeldMemory memory;
  HeldTables tables;
  Owned<cudaGraphExec_t, cudaGraphExecDestroy> launchable;

  ~Graph() {
    if (!tables.empty()) cudaStreamSynchronize(stream());  // a launch under way reads them
  }
};

CapturedWork::CapturedWork() = default;
CapturedWork::~CapturedWork() = default;

void CapturedWork::run(const std::function<void()>& enqueue) {
  if (!std::exchange(has_run_, true)) return enqueue();
  if (!graph_) {
    std::unique_ptr<Graph> made = std::make_unique<Graph>();
    const CaptureScope scope(context(), made->memory, made->tables);
    const RawGraph graph = capture(enqueue);
    cudaGraphExec_t launchable = nullptr;
    check_cuda(cudaGraphInstantiate(&launchable, graph.get(), 0));
    made->launchable.reset(launchable);
    graph_ = std::move(made);
  }
  check_cuda(cudaGraphLaunch(graph_->launchable.get(), stream()));
}

}  // namespace echodiff::cuda
