// Counts calls of operator new on any thread while one of these lives. The test program replaces it for this.
#pragma once

#include <cstdint>

namespace echodiff {

class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  int64_t count() const;  // since this was made
};

}  // namespace echodiff
