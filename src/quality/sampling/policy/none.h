// No filter: every trajectory is finished and kept.
#pragma once

#include "quality/sampling/policy/policy.h"

namespace echodiff {

Policy none_policy();

}  // namespace echodiff
