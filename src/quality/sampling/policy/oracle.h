// The ceiling of every discarding rule: the finished picture's fate is known after a share of the steps. Only a
// recording can tell it, so it runs in a replay.
#pragma once

#include <vector>

#include "quality/sampling/policy/policy.h"

namespace echodiff {

// `passes`: by index, does the finished picture reach tau? `at`: after this share of the steps, 0..1; 0 is before the
// first. Throws Error(kUsage) out of range.
Policy oracle_policy(std::vector<bool> passes, double at);

}  // namespace echodiff
