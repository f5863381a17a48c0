// The tests of a device that is real: what the fake knows is not known here.
#include "cuda/fake/fake_cuda.h"

namespace fake_cuda {

bool is_faked() { return false; }
void reset(size_t) {}
const std::vector<std::string>& call_names() {
  static const std::vector<std::string> none;
  return none;
}
const std::vector<std::string>& misuses() { return call_names(); }
int64_t live_allocations() { return 0; }
int64_t live_objects() { return 0; }

}  // namespace fake_cuda
