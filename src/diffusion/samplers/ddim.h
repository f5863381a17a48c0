// DDIM, Song et al. 2020 (arXiv:2010.02502), equation (12): with alpha_bar at this and the next time of the grid
//   sigma = eta sqrt((1 - a / a_next) (1 - a_next) / (1 - a))
//   x_next = sqrt(a_next) x0_hat + sqrt(1 - a_next - sigma^2) eps + sigma z
// and x0_hat itself at the end. As denoising-diffusion-pytorch: eps is derived again from the clamped x0_hat.
#pragma once

#include "diffusion/samplers/plan.h"

namespace echodiff {

// K steps from x_t at t = last (T - 1 for a whole trajectory) to x_0; as many as fit where it begins lower.
std::vector<PlanStep> ddim_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options);

}  // namespace echodiff
