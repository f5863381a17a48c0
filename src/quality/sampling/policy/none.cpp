#include "quality/sampling/policy/none.h"

namespace echodiff {

Policy none_policy() {
  Policy policy;
  policy.name = "none";
  policy.needs_scorer = policy.judges_final = false;
  policy.monitors = [](int64_t, int64_t) { return false; };
  policy.decide = [](const Moment&) { return Ruling{}; };
  return policy;
}

}  // namespace echodiff
