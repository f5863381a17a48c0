// For LD_PRELOAD: the allocation that FAIL_ALLOCATION numbers, from 1, finds no memory; with COUNT_ALLOCATIONS=FILE
// their number is written there at exit. Counts malloc, calloc, realloc, aligned memory and anonymous maps.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {

std::atomic<long> allocations{0};
long failing() {
  static const long number = [] {
    const char* const text = getenv("FAIL_ALLOCATION");
    return text != nullptr ? atol(text) : 0;
  }();
  return number;
}
bool fails() {
  if (++allocations != failing()) return false;
  errno = ENOMEM;
  return true;
}

[[gnu::destructor]] void report() {
  const char* const path = getenv("COUNT_ALLOCATIONS");
  const int file = path != nullptr ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : -1;
  if (file < 0) return;
  dprintf(file, "%ld\n", allocations.load());
  close(file);
}

}  // namespace

extern "C" {

void* malloc(size_t bytes) { return fails() ? nullptr : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return fails() ? nullptr : __libc_calloc(count, bytes); }
void* realloc(void* memory, size_t bytes) { return fails() ? nullptr : __libc_realloc(memory, bytes); }
void* memalign(size_t alignment, size_t bytes) { return fails() ? nullptr : __libc_memalign(alignment, bytes); }
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  *out = memalign(alignment, bytes);
  return *out != nullptr ? 0 : ENOMEM;
}
void* mmap(void* address, size_t bytes, int protection, int flags, int file, off_t offset) {
  if ((flags & MAP_ANONYMOUS) != 0 && fails()) return MAP_FAILED;
  return reinterpret_cast<void*>(syscall(SYS_mmap, address, bytes, protection, flags, file, offset));
}

}  // extern "C"
