// UniPC, Zhao et al. 2023 (arXiv:2302.04867), of order 2 with B(h) = e^h - 1 ("bh2"), in data prediction, as diffusers'
// UniPCMultistepScheduler: each step corrects the state that the step before predicted, by what the network says there,
// and predicts the next one. The corrector costs no call. First and last step are of order 1.
//
// The corrected state differs from the predicted one by x0_hats alone, the last three; so a row needs no state beside
// the one that every sampler has.
#pragma once

#include "diffusion/samplers/plan.h"

namespace echodiff {

// From T - 1 alone, or by the options' grid.
std::vector<PlanStep> unipc_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options);

}  // namespace echodiff
