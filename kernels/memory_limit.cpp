#include "kernels/memory_limit.h"

#include <algorithm>
#include <atomic>
#include <fstream>
#include <new>
#include <string>

namespace echodiff {
namespace {

int64_t total_of_machine() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  int64_t kib = 0;
  return file >> key >> kib && key == "MemTotal:" ? kib << 10 : 0;
}

// "max" where there is no bound.
int64_t bound_in(const char* path) {
  std::ifstream file(path);
  int64_t bytes = 0;
  return file >> bytes && bytes > 0 ? bytes : 0;
}

std::atomic<bool> ended{false};

void remember_and_throw() {
  ended = true;
  throw std::bad_alloc();
}

}  // namespace

void watch_memory() { std::set_new_handler(remember_and_throw); }
bool memory_ended() { return ended; }

int64_t machine_memory() {
  int64_t least = total_of_machine();
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"})
    if (const int64_t bound = bound_in(path); bound > 0) least = least > 0 ? std::min(least, bound) : bound;
  return least;
}

}  // namespace echodiff
