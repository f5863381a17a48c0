// The runtime's calls, and what it does around a kernel. Work is done at once, in the order of the calls: that is one
// of the orders that streams allow.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "cuda/fake/device.h"
#include "cuda/host/block.h"
#include "kernels/cuda/check.h"

using namespace fake_cuda;

namespace fake_cuda {

cudaError_t result(cudaError_t status) {
  if (status != cudaSuccess) device().last_error = status;
  return status;
}
bool is_stream(cudaStream_t stream, const char* call) { return is_object(stream, "stream", call); }
cudaError_t failed(Failure how) {
  return result(how == Failure::memory ? cudaErrorMemoryAllocation : cudaErrorIllegalAddress);
}

}  // namespace fake_cuda

namespace {

void deliver(cudaStream_t stream) {
  std::vector<PendingCopy>& pending = device().pending;
  for (PendingCopy& each : pending)
    if (each.stream == stream) std::memcpy(each.host, each.bytes.data(), each.bytes.size());
  std::erase_if(pending, [&](const PendingCopy& each) { return each.stream == stream; });
}

}  // namespace

namespace fake_cuda {

bool is_held_up(cudaStream_t stream) {
  std::erase_if(device().receipts, [&](const Receipt& each) { return each.stream == stream && each.arrived(); });
  return std::any_of(device().receipts.begin(), device().receipts.end(),
                     [&](const Receipt& each) { return each.stream == stream; });
}
bool would_hang(cudaStream_t stream, const char* call) {
  if (!is_held_up(stream)) return false;
  misuse(std::string(call) + ": waits for another rank, and nobody can end that");
  return true;
}

}  // namespace fake_cuda

namespace {

// A page-locked source is read some time before the stream has come so far.
void note_pinned_copy(const void* from, size_t bytes) {
  Device& d = device();
  const char* const host = static_cast<const char*>(from);
  for (const auto& [memory, size] : d.pinned)
    if (memory <= host && host < memory + size)
      d.pinned_copies.push_back({host, std::vector<char>(host, host + bytes), ++d.pinned_copy_count});
}

// A kernel's launch is a call like any other; it may touch device memory until it has run.
void before_launch(const void* const* pointers, int count, cudaStream_t stream) {
  if (const auto failure = next_call("launch")) echodiff::cuda::check_cuda(failed(*failure));
  bool sound = is_stream(stream, "launch");
  for (int i = 0; i < count; ++i)
    if (pointers[i]) sound = check_range(pointers[i], 1, "launch") && sound;
  if (!sound) echodiff::cuda::check_cuda(result(cudaErrorInvalidValue));
}

[[maybe_unused]] const bool hooked = [] {
  hostcuda::launch_hooks = {before_launch, [](cudaStream_t stream, std::function<void()> grid) {
                              if (device().idle) return;
                              submit(stream, [grid = std::move(grid)] {
                                const DeviceAccess access;
                                grid();
                              });
                            }};
  return true;
}();

}  // namespace

extern "C" {

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    default: return "cudaErrorUnknown";
  }
}
const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorIllegalAddress: return "an illegal memory access was encountered";
    case cudaErrorNoDevice: return "no CUDA-capable device is detected";
    default: return "as the fake says it";
  }
}

// Not a call that fails: it reports one that has.
cudaError_t cudaGetLastError() {
  const cudaError_t status = device().last_error;
  if (!device().lost) device().last_error = cudaSuccess;
  return status;
}

cudaError_t cudaGetDeviceCount(int* count) {
  if (const auto failure = next_call("cudaGetDeviceCount")) return failed(*failure);
  *count = device().count;
  return device().count == 0 ? result(cudaErrorNoDevice) : cudaSuccess;
}
cudaError_t cudaSetDevice(int number) {
  if (const auto failure = next_call("cudaSetDevice")) return failed(*failure);
  if (device().count == 0) return result(cudaErrorNoDevice);
  return number < device().count ? cudaSuccess : result(cudaErrorInvalidDevice);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (const auto failure = next_call("cudaGetDeviceProperties")) return failed(*failure);
  if (number >= device().count) return result(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "fake device");
  properties->totalGlobalMem = device().memory;
  properties->major = 8;
  properties->minor = 6;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  if (const auto failure = next_call("cudaMemGetInfo")) return failed(*failure);
  *available = device().memory - device().used;
  *total = device().memory;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
  if (const auto failure = next_call("cudaStreamCreateWithFlags")) return failed(*failure);
  *out = reinterpret_cast<cudaStream_t>(new char);
  add_object(*out, "stream");
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const auto failure = next_call("cudaStreamDestroy");
  if (!remove_object(stream, "stream", "cudaStreamDestroy")) return result(cudaErrorInvalidResourceHandle);
  delete reinterpret_cast<char*>(stream);
  return failure ? failed(*failure) : cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (const auto failure = next_call("cudaStreamSynchronize")) {
    device().pending.clear();
    device().pinned_copies.clear();
    return failed(*failure);
  }
  if (!is_stream(stream, "cudaStreamSynchronize")) return result(cudaErrorInvalidResourceHandle);
  if (device().capturing == stream) {
    misuse("cudaStreamSynchronize: the stream is being captured");
    return result(cudaErrorStreamCaptureUnsupported);
  }
  if (would_hang(stream, "cudaStreamSynchronize")) return result(cudaErrorLaunchTimeout);
  deliver(stream);
  settle_pinned_copies(device().pinned_copy_count);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (const auto failure = next_call("cudaStreamQuery")) {
    device().pending.clear();
    return failed(*failure);
  }
  if (!is_stream(stream, "cudaStreamQuery")) return result(cudaErrorInvalidResourceHandle);
  if (is_held_up(stream)) return result(cudaErrorNotReady);
  deliver(stream);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const char* call = "cudaMemcpyAsync";
  if (const auto failure = next_call(call)) return failed(*failure);
  bool sound = is_stream(stream, call) && !(kind == cudaMemcpyDeviceToHost && would_hang(stream, call));
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device) sound = check_range(to, bytes, call) && sound;
  if (from_device) sound = check_range(from, bytes, call) && sound;
  for (const auto& [memory, on_device] : {std::pair<const void*, bool>{to, to_device}, {from, from_device}}) {
    if (on_device || !is_device_memory(memory)) continue;
    misuse("cudaMemcpyAsync: device memory where its kind says host");
    sound = false;
  }
  if (!sound) return result(cudaErrorInvalidValue);
  submit(stream, [=] {
    const DeviceAccess access;
    if (kind != cudaMemcpyDeviceToHost) {
      note_pinned_copy(from, bytes);
      std::memmove(to, from, bytes);
      return;
    }
    const char* source = static_cast<const char*>(from);
    device().pending.push_back({stream, to, std::vector<char>(source, source + bytes)});
    std::memset(to, 0xFF, bytes);  // nobody may rely on it before the stream has been waited for
  });
  return cudaSuccess;
}

}  // extern "C"
