// The one thread pool. Work is split into numbered pieces by the caller, from the problem alone; threads take pieces in
// turn. Results can't depend on the thread count: each piece writes its own outputs.
#pragma once

#include <cstdint>

namespace echodiff {

// A reference to a callable, as std::function but without a copy or an allocation: valid while the callable lives.
template <class... Arguments> class FunctionRef {
 public:
  template <class F>
  FunctionRef(const F& f)
      : object_(&f),
        call_([](const void* object, Arguments... arguments) { (*static_cast<const F*>(object))(arguments...); }) {}
  void operator()(Arguments... arguments) const { call_(object_, arguments...); }

 private:
  const void* object_;
  void (*call_)(const void*, Arguments...);
};

// Calls body(i) once for each i in [0, n), on all threads; returns when all are done. An exception of a body is
// rethrown. A call from inside a body runs its pieces on the calling thread.
void parallel_for(int64_t n, FunctionRef<int64_t> body);

// The same over [0, n) cut into ranges of `grain` (the last may be shorter): body(begin, end).
void parallel_ranges(int64_t n, int64_t grain, FunctionRef<int64_t, int64_t> body);

// Threads that work, the caller included. 1 runs everything on the caller. Default: the machine's cores.
void set_thread_count(int count);
int thread_count();

}  // namespace echodiff
