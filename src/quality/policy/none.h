// No filter: every trajectory is finished and kept (B0).
#pragma once

#include "quality/policy/policy.h"

namespace echodiff {

Policy none_policy();

}  // namespace echodiff
