#include "quality/sampling/policy/oracle.h"

#include <cmath>
#include <utility>

#include "kernels/error.h"

namespace echodiff {

Policy oracle_policy(std::vector<bool> passes, double at) {
  check_input(at >= 0 && at <= 1, Fault::kUsage, "oracle: discard at: expected 0 to 1, found ", at);
  Policy policy;
  policy.name = "oracle";
  policy.reads_scores = false;
  policy.monitors = [at](int64_t step, int64_t steps) { return step == std::llround(at * double(steps)) - 1; };
  policy.decide = [passes = std::move(passes)](const Moment& moment) -> Ruling {
    if (passes.at(size_t(moment.index))) return {};
    return {Verdict::kDiscard, "oracle", {}};
  };
  return policy;
}

}  // namespace echodiff
