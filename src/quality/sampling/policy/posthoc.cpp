#include "quality/sampling/policy/posthoc.h"

#include "quality/sampling/policy/none.h"

namespace echodiff {

Policy posthoc_policy() {
  Policy policy = none_policy();
  policy.name = "posthoc";
  policy.needs_scorer = policy.judges_final = true;
  return policy;
}

}  // namespace echodiff
