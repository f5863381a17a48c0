// The floor every discarding rule must beat: drop a share of the trajectories at one step, blindly.
#pragma once

#include "quality/sampling/policy/policy.h"

namespace echodiff {

struct RandomOptions {
  double rate = 0.5;  // share dropped, 0..1
  double at = 0.2;    // after this share of the steps, 0..1
  uint64_t seed = 0;
};

// Throws Error(kUsage) for constants out of range.
Policy random_policy(const RandomOptions& options);

}  // namespace echodiff
