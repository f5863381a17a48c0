// Post-hoc filtering (B1; with a few-step sampler B3, the honest baseline): finish, then keep iff the score reaches
// tau.
#pragma once

#include "quality/policy/policy.h"

namespace echodiff {

Policy posthoc_policy();

}  // namespace echodiff
