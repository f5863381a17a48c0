#include "cuda/fake/device.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <utility>

namespace fake_cuda {
namespace {

constexpr size_t kArenaBytes = size_t{1} << 36;
int open_accesses = 0;

bool in_arena(const void* p) {
  const char* address = static_cast<const char*>(p);
  return device().arena && address >= device().arena && address < device().arena + kArenaBytes;
}

void touched(int, siginfo_t* info, void*) {
  const char* text = in_arena(info->si_addr) ? "fake_cuda: host code touched device memory\n" : "";
  if (write(2, text, std::strlen(text)) < 0) _exit(3);
  signal(SIGSEGV, SIG_DFL);  // returning repeats the access, and ends the process
}

void protect(int allowed) {
  const Device& d = device();
  if (d.allocations.empty()) return;
  const auto& [last, bytes] = *d.allocations.rbegin();
  const size_t page = 4096, end = size_t(last - d.arena) + bytes;
  mprotect(d.arena, (end + page - 1) / page * page, allowed);
}

Device* start() {
  Device* d = new Device;  // lives until the process ends, whatever is destroyed before
  d->arena =
      static_cast<char*>(mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  struct sigaction action {};
  action.sa_sigaction = touched;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  const char* settings = std::getenv("FAKE_CUDA");
  std::istringstream words(settings ? settings : "");
  for (std::string word; words >> word;) {
    const std::string name = word.substr(0, word.find('=')), value = word.substr(word.find('=') + 1);
    if (name == "devices") d->count = std::stoi(value);
    if (name == "memory") d->memory = std::stoull(value);
    if (name == "idle") d->idle = true;
    if (name == "report") d->report = value;
    if (name == "refuse") d->refused_graph = std::stoll(value);
    if (name == "fail") {
      d->failing_call = std::stoll(value);
      d->failure = value.ends_with(":sticky") ? Failure::sticky : Failure::memory;
    }
  }
  return d;
}

// After the destructors of every static object: what is alive now has leaked.
[[gnu::destructor]] void report() {
  const Device& d = device();
  if (d.report.empty()) return;
  std::ofstream out(d.report);
  if (d.failing_call > 0 && d.failing_call <= d.call_count)
    out << "failed " << d.names[size_t(d.failing_call - 1)] << "\n";
  out << "calls " << d.call_count << "\nlive_allocations " << d.allocations.size() << "\nlive_objects "
      << d.objects.size() << "\n";
  std::map<std::string, std::pair<size_t, size_t>> ends;  // of each kind of call the first and the last
  for (size_t k = 1; k <= d.names.size(); ++k) ends.try_emplace(d.names[k - 1], k, k).first->second.second = k;
  for (const auto& [name, at] : ends) out << "kind " << name << " " << at.first << " " << at.second << "\n";
  for (const std::string& each : d.misuses) out << "misuse " << each << "\n";
}

}  // namespace

Device& device() {
  static Device* const d = start();
  return *d;
}

bool is_faked() { return true; }
void reset(size_t memory) {
  Device& d = device();
  d.count = 1;
  d.memory = memory;
  d.call_count = d.failing_call = 0;
  d.idle = d.lost = d.partners_lost = false;
  d.last_error = cudaSuccess;
  d.names.clear();
  d.misuses.clear();
}
void set_device_count(int count) { device().count = count; }
void stay_idle() { device().idle = true; }
void fail_call(int64_t k, Failure how) {
  device().failing_call = device().call_count + k;
  device().failure = how;
}
void lose_partners() { device().partners_lost = true; }
int64_t calls() { return device().call_count; }
const std::vector<std::string>& call_names() { return device().names; }
const std::vector<std::string>& misuses() { return device().misuses; }
int64_t live_allocations() { return int64_t(device().allocations.size()); }
int64_t live_objects() { return int64_t(device().objects.size()); }
bool is_device_memory(const void* p) { return in_arena(p); }

std::optional<Failure> next_call(const char* name) {
  Device& d = device();
  d.names.push_back(name);
  if (++d.call_count == d.failing_call) {
    d.lost = d.lost || d.failure == Failure::sticky;
    return d.failure;
  }
  if (d.lost) return Failure::sticky;
  return std::nullopt;
}

void misuse(const std::string& what) { device().misuses.push_back(what); }

const void* add_object(const void* object, const char* kind) {
  device().objects[object] = kind;
  return object;
}
bool is_object(const void* object, const char* kind, const char* call) {
  const auto found = device().objects.find(object);
  if (found != device().objects.end() && found->second == kind) return true;
  misuse(std::string(call) + ": not a live " + kind);
  return false;
}
bool remove_object(const void* object, const char* kind, const char* call) {
  if (!is_object(object, kind, call)) return false;
  device().objects.erase(object);
  return true;
}

bool check_range(const void* p, size_t bytes, const char* call) {
  Device& d = device();
  char* address = static_cast<char*>(const_cast<void*>(p));
  if (!in_arena(p)) {
    misuse(std::string(call) + ": a pointer that isn't to device memory");
    return false;
  }
  auto found = d.allocations.upper_bound(address);
  if (found != d.allocations.begin() && address + bytes <= std::prev(found)->first + std::prev(found)->second)
    return true;
  misuse(std::string(call) + ": " + std::to_string(bytes) + " bytes that aren't inside one live allocation");
  return false;
}

DeviceAccess::DeviceAccess() {
  if (open_accesses++ == 0) protect(PROT_READ | PROT_WRITE);
}
DeviceAccess::~DeviceAccess() {
  if (--open_accesses == 0) protect(PROT_NONE);
}

}  // namespace fake_cuda

// ---- cudaMalloc and cudaFree

using namespace fake_cuda;

extern "C" {

cudaError_t cudaMalloc(void** out, size_t bytes) {
  if (const auto failure = next_call("cudaMalloc"))
    return device().last_error = *failure == Failure::memory ? cudaErrorMemoryAllocation : cudaErrorIllegalAddress;
  Device& d = device();
  if (!out || bytes == 0) return d.last_error = cudaErrorInvalidValue;
  if (d.used + bytes > d.memory) return d.last_error = cudaErrorMemoryAllocation;
  const size_t granule = 4096, size = (bytes + granule - 1) / granule * granule;
  char* place = d.arena;  // the first gap that fits
  for (const auto& [begin, taken] : d.allocations) {
    if (place + size <= begin) break;
    place = begin + (taken + granule - 1) / granule * granule;
  }
  d.allocations[place] = bytes;
  d.used += bytes;
  const DeviceAccess access;
  std::memset(place, d.idle ? 0 : 0xFF, bytes);  // 0xFF: NaN
  *out = place;
  return cudaSuccess;
}

// A lost device still forgets: what its owner let go of has not leaked.
cudaError_t cudaFree(void* data) {
  const auto failure = next_call("cudaFree");
  Device& d = device();
  const auto found = d.allocations.find(static_cast<char*>(data));
  if (data && found == d.allocations.end()) {
    misuse("cudaFree: a pointer that isn't a live allocation");
    return d.last_error = cudaErrorInvalidValue;
  }
  if (data) {
    const size_t bytes = found->second;
    for (const Receipt& receipt : d.receipts)
      if (receipt.memory >= data && receipt.memory < found->first + bytes)
        misuse("cudaFree: memory into which another rank sends");
    d.used -= bytes;
    mprotect(data, (bytes + 4095) / 4096 * 4096, PROT_NONE);
    madvise(data, bytes, MADV_DONTNEED);
    d.allocations.erase(found);
  }
  return failure ? d.last_error = cudaErrorIllegalAddress : cudaSuccess;
}

}  // extern "C"
