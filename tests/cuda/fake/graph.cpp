// Capturing a stream: its work is taken and done at each launch of the graph, with the arguments it was given.
#include <cuda_runtime_api.h>

#include <utility>

#include "cuda/fake/device.h"

using namespace fake_cuda;

namespace fake_cuda {

void submit(cudaStream_t stream, std::function<void()> work) {
  Device& d = device();
  if (d.capturing && d.capturing == stream)
    d.captured.push_back(std::move(work));
  else
    work();
}

}  // namespace fake_cuda

namespace {

Work& work_of(const void* graph) { return *static_cast<Work*>(const_cast<void*>(graph)); }

template <class Handle> cudaError_t destroy(Handle handle, const char* kind, const char* call) {
  const auto failure = next_call(call);
  if (!remove_object(handle, kind, call)) return result(cudaErrorInvalidValue);
  delete &work_of(handle);
  return failure ? failed(*failure) : cudaSuccess;
}

}  // namespace

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (const auto failure = next_call("cudaStreamBeginCapture")) return failed(*failure);
  if (!is_object(stream, "stream", "cudaStreamBeginCapture") || device().capturing)
    return result(cudaErrorStreamCaptureUnsupported);
  device().capturing = stream;
  return cudaSuccess;
}

// Leaves the capture even where it fails.
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  Device& d = device();
  const bool was_capturing = d.capturing == stream;
  d.capturing = nullptr;
  Work work = std::exchange(d.captured, {});
  if (const auto failure = next_call("cudaStreamEndCapture")) return failed(*failure);
  if (!was_capturing) {
    misuse("cudaStreamEndCapture: the stream isn't being captured");
    return result(cudaErrorStreamCaptureInvalidated);
  }
  *out = reinterpret_cast<cudaGraph_t>(new Work(std::move(work)));
  add_object(*out, "graph");
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return destroy(graph, "graph", "cudaGraphDestroy"); }

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  if (const auto failure = next_call("cudaGraphInstantiate")) return failed(*failure);
  if (!is_object(graph, "graph", "cudaGraphInstantiate")) return result(cudaErrorInvalidValue);
  *out = reinterpret_cast<cudaGraphExec_t>(new Work(work_of(graph)));
  add_object(*out, "executable graph");
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) {
  return destroy(graph, "executable graph", "cudaGraphExecDestroy");
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t graph, cudaStream_t stream) {
  if (const auto failure = next_call("cudaGraphLaunch")) return failed(*failure);
  if (!is_object(graph, "executable graph", "cudaGraphLaunch") || !is_object(stream, "stream", "cudaGraphLaunch"))
    return result(cudaErrorInvalidValue);
  for (const std::function<void()>& each : work_of(graph)) each();
  return cudaSuccess;
}

}  // extern "C"
