#include "cuda/host/fiber.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

// Defined where a sanitizer is linked in, null elsewhere; so this file is compiled once for all variants.
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* p);
[[gnu::weak]] void __tsan_release(void* p);
[[gnu::weak]] void AnnotateIgnoreReadsBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreReadsEnd(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesBegin(const char* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesEnd(const char* file, int line);
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, const void* bottom, size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, const void** bottom_old, size_t* size_old);

// Saves the callee-saved registers on this stack, continues on the other.
void hostcuda_switch(void** save, void* load);
}

#if !defined(__x86_64__)
#error "the host harness needs hostcuda_switch for this processor"
#endif
__asm__(
    ".text\n.type hostcuda_switch,@function\n.globl hostcuda_switch\nhostcuda_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\nmovq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n.size hostcuda_switch,.-hostcuda_switch\n");

namespace hostcuda {
namespace {

constexpr unsigned kNoSynchronisation = 1;  // of __tsan_switch_to_fiber: a switch orders nothing

size_t stack_bytes() { return detects_races() ? 32 << 10 : 64 << 10; }

// Stacks and ThreadSanitizer's fibers are used again: creating them is slow.
struct StackPool {
  std::vector<char*> idle;
  ~StackPool() {
    for (char* stack : idle) std::free(stack);
  }
};
std::vector<char*>& idle_stacks() {
  static StackPool pool;
  return pool.idle;
}
std::vector<void*>& idle_race_fibers() {
  static std::vector<void*> fibers;
  return fibers;
}

}  // namespace

bool detects_races() { return __tsan_create_fiber != nullptr; }
void released(void* p) {
  if (__tsan_release) __tsan_release(p);
}
void acquired(void* p) {
  if (__tsan_acquire) __tsan_acquire(p);
}

Unobserved::Unobserved() {
  if (!detects_races()) return;
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}
Unobserved::~Unobserved() {
  if (!detects_races()) return;
  AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
}

FiberSwitch::FiberSwitch() {
  if (detects_races()) scheduler_race_fiber_ = __tsan_get_current_fiber();
}

void FiberSwitch::start(Fiber& fiber, void (*entry)()) {
  if (idle_stacks().empty()) {
    fiber.stack = static_cast<char*>(std::aligned_alloc(4096, stack_bytes()));
  } else {
    fiber.stack = idle_stacks().back();
    idle_stacks().pop_back();
  }
  // Tops are spread over the cache's sets, or the stacks of a block evict each other.
  static size_t turn = 0;
  void** top = reinterpret_cast<void**>(fiber.stack + stack_bytes() - 64 - (++turn * 448) % 8192);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fiber.stack_pointer = top;
  if (!detects_races()) return;
  if (idle_race_fibers().empty()) {
    fiber.race_fiber = __tsan_create_fiber(0);
  } else {
    fiber.race_fiber = idle_race_fibers().back();
    idle_race_fibers().pop_back();
  }
}

void FiberSwitch::resume(Fiber& fiber) {
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(&scheduler_fake_stack_, fiber.stack, stack_bytes());
  if (detects_races()) __tsan_switch_to_fiber(fiber.race_fiber, kNoSynchronisation);
  hostcuda_switch(&scheduler_, fiber.stack_pointer);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(scheduler_fake_stack_, nullptr, nullptr);
}

void FiberSwitch::entered() {
  if (__sanitizer_finish_switch_fiber)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack_, &scheduler_stack_size_);
}

void FiberSwitch::suspend(Fiber& fiber, bool finished) {
  if (detects_races()) __tsan_switch_to_fiber(scheduler_race_fiber_, kNoSynchronisation);
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(finished ? nullptr : &fiber.fake_stack, scheduler_stack_, scheduler_stack_size_);
  hostcuda_switch(&fiber.stack_pointer, scheduler_);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
}

void FiberSwitch::release_stack(Fiber& fiber) {
  if (detects_races()) {
    std::free(fiber.stack);  // forgets who wrote there: the next owner is another thread
    idle_race_fibers().insert(idle_race_fibers().begin(), fiber.race_fiber);
  } else {
    idle_stacks().push_back(fiber.stack);
  }
  fiber.stack = nullptr;
}

}  // namespace hostcuda
