// Post-hoc filtering (with a few-step sampler B3, the honest baseline): finish, then keep iff the score reaches
// tau.
#pragma once

#include "quality/sampling/policy/policy.h"

namespace echodiff {

Policy posthoc_policy();

}  // namespace echodiff
