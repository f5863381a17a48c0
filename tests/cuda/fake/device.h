// What the faked libraries share: the device's memory and the record of calls.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cuda/fake/fake_cuda.h"

namespace fake_cuda {

struct PendingCopy {
  cudaStream_t stream;
  void* host;
  std::vector<char> bytes;
};
// A copy from page-locked memory: who writes there before it has been waited for changes what the device gets.
struct PinnedCopy {
  const char* host;
  std::vector<char> bytes;
  int64_t number;  // of copies, in order
};

// Work that a stream has taken, to be done at each launch of its graph.
using Work = std::vector<std::function<void()>>;

// What a stream can't do before another rank has sent.
struct Receipt {
  cudaStream_t stream;
  const void *owner, *memory;
  std::function<bool()> arrived;  // true, once it has been received
};

struct Device {
  int count = 1;
  size_t memory = size_t{1} << 30, used = 0;
  char* arena = nullptr;  // kArenaBytes of addresses
  std::map<char*, size_t> allocations;
  std::map<const void*, std::string> objects;  // alive, with their kind
  std::vector<PendingCopy> pending;            // to the host
  std::map<char*, size_t> pinned;              // page-locked memory
  std::vector<PinnedCopy> pinned_copies;       // not waited for
  int64_t pinned_copy_count = 0;
  std::vector<Receipt> receipts;  // under way
  bool partners_lost = false;
  cudaStream_t capturing = nullptr;  // the stream that takes work without doing it
  Work captured;
  int64_t call_count = 0, failing_call = 0;
  int64_t graph_count = 0, refused_graph = 0;  // cuDNN's operation graphs
  Failure failure = Failure::memory;
  double clock = 0;   // milliseconds of work done
  bool idle = false;  // nothing is computed
  bool lost = false;  // a sticky failure has happened
  cudaError_t last_error = cudaSuccess;
  std::vector<std::string> names, misuses;
  std::string report;  // file to write at exit
};
Device& device();

// Counts the call. The failure it is to return, if any.
std::optional<Failure> next_call(const char* name);
void misuse(const std::string& what);

// Whether the stream waits for another rank; `call` would then wait with it, for ever where the rank is gone: a misuse.
bool is_held_up(cudaStream_t stream);
bool would_hang(cudaStream_t stream, const char* call);

// The runtime's answer: a failure becomes cudaGetLastError's.
cudaError_t result(cudaError_t status);
cudaError_t failed(Failure how);

// The copies from page-locked memory up to this number are waited for; a misuse where what they read has changed.
void settle_pinned_copies(int64_t number);

// Does the work, or takes it where the stream is being captured. Whatever the work reads must live in it.
void submit(cudaStream_t stream, std::function<void()> work);

const void* add_object(const void* object, const char* kind);
// False, and a misuse, where it isn't alive.
bool is_object(const void* object, const char* kind, const char* call);
// The streams that were made are the only ones: the default stream waits for none of them.
bool is_stream(cudaStream_t stream, const char* call);
bool remove_object(const void* object, const char* kind, const char* call);

// [p, p + bytes) lies in one live allocation; a misuse where it does not.
bool check_range(const void* p, size_t bytes, const char* call);

// Device memory may be touched while one exists.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
};

}  // namespace fake_cuda
