// One CUDA thread as a fiber: it runs until it waits, and is resumed where it stopped. Tells AddressSanitizer and
// ThreadSanitizer about each switch where they are linked in (a race detector needs to know whose access it sees).
#pragma once

#include <cstddef>

namespace hostcuda {

// ThreadSanitizer's view of synchronisation: what one fiber wrote before released(p) is visible after acquired(p).
// Nothing without it.
void released(void* p);
void acquired(void* p);
bool detects_races();

// The race detector doesn't see what this thread touches meanwhile: the harness's own allocations.
class Unobserved {
 public:
  Unobserved();
  ~Unobserved();
  Unobserved(const Unobserved&) = delete;
};

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;
  void* race_fiber = nullptr;  // ThreadSanitizer's
  void* fake_stack = nullptr;  // AddressSanitizer's
};

// The scheduler's side. entry runs on the fiber and must end with suspend(fiber, true).
class FiberSwitch {
 public:
  FiberSwitch();
  void start(Fiber& fiber, void (*entry)());
  void resume(Fiber& fiber);                  // from the scheduler; returns at the fiber's next suspend
  void entered();                             // first thing on a new fiber
  void suspend(Fiber& fiber, bool finished);  // on the fiber
  void release_stack(Fiber& fiber);           // after it has finished

 private:
  void* scheduler_ = nullptr;
  void* scheduler_race_fiber_ = nullptr;
  void* scheduler_fake_stack_ = nullptr;
  const void* scheduler_stack_ = nullptr;
  size_t scheduler_stack_size_ = 0;
};

}  // namespace hostcuda
