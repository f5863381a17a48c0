// Replays a policy on a recording: the decisions, calls and reasons of a live run on the same seed, masks and sampler,
// in seconds. It runs under the same loop as the network (slots.h), so it can't decide otherwise.
//
// What a recording can't answer is an Error(kUsage) that names the trajectory: an early accept that a tail of other
// steps would finish, or that keeps x0_hat or x_t (their 8 bits were never scored); a step that was not scored;
// resampling.
#pragma once

#include <string>
#include <vector>

#include "quality/recordings/recording.h"
#include "quality/sampling/sampler.h"

namespace echodiff {

struct ReplayOptions {
  std::string judge;        // on the way; may be empty where the policy reads no scores
  std::string final_judge;  // of finished pictures: a judge's name, "label" (the thresholds' verdict), "" the same one
};

// The job a recording stands for: plan, conditions, count, noise, guidance, DeepCache's steps, the mean start's calls;
// policy and the rest are the caller's.
SamplerJob recorded_job(const Recording& recording);

// `job` as recorded_job made it, with policy, batch, tau, accept ... added; its judges are not asked. Seconds are the
// recorded ones per call and per scored picture. Records have their picture where the recording was read with pictures.
SamplerTotals replay(const Recording& recording, const SamplerJob& job, const ReplayOptions& options,
                     const SamplerHooks& hooks);

// What becomes of each trajectory of the job when all are finished and judged then: what an oracle knows.
struct Fates {
  std::vector<bool> kept;  // by index
  SamplerTotals totals;
};
Fates fates_of(const Recording& recording, SamplerJob job, const ReplayOptions& options);

}  // namespace echodiff
