// Fits the uncertainty heads of AdaDiff (exits.h): samples whole trajectories, makes at each step also the shallow
// calls with the deep features of up to three steps before, and compares their answers with the whole call's.
#pragma once

#include "quality/sampling/exits.h"
#include "quality/sampling/sampler.h"

namespace echodiff {

// `job` as sampling takes it, with its `caching` network; its policy is not asked. A call counts four in time, not in
// the progress. Throws Error: kUsage for a sampler of one step; as run_sampler. An empty rule when `hooks.stop` said
// so.
ExitRule fit_exits(SamplerJob job, const SamplerHooks& hooks);

}  // namespace echodiff
