// Events, and the page-locked memory whose copies are waited for by them.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "cuda/fake/device.h"

using namespace fake_cuda;

namespace {

// What had been enqueued when it was recorded.
struct Event {
  double clock = -1;
  int64_t pinned_copies = 0;
};
Event& event_of(cudaEvent_t event) { return *reinterpret_cast<Event*>(event); }

}  // namespace

namespace fake_cuda {

void settle_pinned_copies(int64_t number) {
  std::vector<PinnedCopy>& copies = device().pinned_copies;
  for (const PinnedCopy& copy : copies)
    if (copy.number <= number && std::memcmp(copy.host, copy.bytes.data(), copy.bytes.size()) != 0)
      misuse("page-locked memory was written before its copy had been waited for");
  std::erase_if(copies, [&](const PinnedCopy& copy) { return copy.number <= number; });
}

int64_t pinned_copies_under_way() { return int64_t(device().pinned_copies.size()); }

}  // namespace fake_cuda

extern "C" {

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  if (const auto failure = next_call("cudaEventCreate")) return failed(*failure);
  *out = reinterpret_cast<cudaEvent_t>(new Event);
  add_object(*out, "event");
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto failure = next_call("cudaEventDestroy");
  if (!remove_object(event, "event", "cudaEventDestroy")) return result(cudaErrorInvalidResourceHandle);
  delete &event_of(event);
  return failure ? failed(*failure) : cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (const auto failure = next_call("cudaEventRecord")) return failed(*failure);
  if (!is_object(event, "event", "cudaEventRecord") || !is_stream(stream, "cudaEventRecord"))
    return result(cudaErrorInvalidResourceHandle);
  event_of(event) = {device().clock, device().pinned_copy_count};
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (const auto failure = next_call("cudaEventSynchronize")) {
    device().pinned_copies.clear();
    return failed(*failure);
  }
  if (!is_object(event, "event", "cudaEventSynchronize")) return result(cudaErrorInvalidResourceHandle);
  settle_pinned_copies(event_of(event).pinned_copies);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  if (const auto failure = next_call("cudaEventElapsedTime")) return failed(*failure);
  for (const cudaEvent_t each : {begin, end})
    if (!is_object(each, "event", "cudaEventElapsedTime") || event_of(each).clock < 0)
      return result(cudaErrorInvalidResourceHandle);
  *milliseconds = float(event_of(end).clock - event_of(begin).clock);
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** out, size_t bytes, unsigned) {
  if (const auto failure = next_call("cudaHostAlloc")) return failed(*failure);
  char* const memory = new char[bytes];
  device().pinned[memory] = bytes;
  *out = const_cast<void*>(add_object(memory, "page-locked memory"));
  return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
  const auto failure = next_call("cudaFreeHost");
  if (!remove_object(memory, "page-locked memory", "cudaFreeHost")) return result(cudaErrorInvalidValue);
  settle_pinned_copies(device().pinned_copy_count);
  device().pinned.erase(static_cast<char*>(memory));
  delete[] static_cast<char*>(memory);
  return failure ? failed(*failure) : cudaSuccess;
}

}  // extern "C"
