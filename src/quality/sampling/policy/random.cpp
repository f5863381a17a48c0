#include "quality/sampling/policy/random.h"

#include <algorithm>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {

Policy random_policy(const RandomOptions& options) {
  check_input(options.rate >= 0 && options.rate <= 1, Fault::kUsage, "random: discard rate: expected 0 to 1, found ",
              options.rate);
  check_input(options.at >= 0 && options.at <= 1, Fault::kUsage, "random: discard at: expected 0 to 1, found ",
              options.at);
  Policy policy;
  policy.name = "random";
  policy.reads_scores = false;
  policy.monitors = [options](int64_t step, int64_t steps) {
    return step == std::min(steps - 1, int64_t(options.at * double(steps)));
  };
  policy.decide = [options](const Moment& moment) -> Ruling {
    // Trajectories draw their own noise from (seed, index, step 0..); this draws from a step none of them reaches.
    constexpr uint64_t kDiscardDraw = 0xFFFFFFFF;
    if (Random(options.seed, uint64_t(moment.index), kDiscardDraw).uniform() < options.rate)
      return {Verdict::kDiscard, "random"};
    return {};
  };
  return policy;
}

}  // namespace echodiff
