// Early-stopped diffusion (ES-DDPM, Lyu et al. 2022, arXiv:2205.12524): a trajectory begins at T' < T from another
// picture of the same mask, real or generated, noised to there. No ruling: it ends as posthoc does. What it keeps of
// the picture it began with is the price: look at memorisation.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/samplers/noise.h"
#include "diffusion/samplers/plan.h"
#include "quality/sampling/policy/policy.h"

namespace echodiff {

Policy es_ddpm_policy();

// From t = last to x_0: ddim takes its K steps there, ddpm those of its K that are not above, and every sampler on a
// grid those of the grid. Throws Error(kUsage) for a sampler that can't, and when no step is left.
SamplingPlan es_ddpm_plan(const Schedule& schedule, const SamplerOptions& options, int64_t last);

// x_t = q_sample(picture, t, noise) takes the place of x_T. pictures: one (1, 1, H, W) in [-1, 1] a condition;
// trajectory i begins with number i mod their count, as the sampler takes the conditions.
NoiseSource es_ddpm_start(const Schedule& schedule, int64_t t, std::vector<Tensor> pictures, NoiseSource noise);

}  // namespace echodiff
