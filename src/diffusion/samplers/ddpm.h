// Ancestral sampling, Ho et al. 2020 (arXiv:2006.11239), algorithm 2, on all T steps or on K of them (respaced as
// Nichol & Dhariwal 2021). The mean goes through the clamped x0_hat, which without clamping is the paper's
//   mu = (x_t - beta_t / sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_t).
#pragma once

#include "diffusion/samplers/plan.h"

namespace echodiff {

// Those of K steps of a whole trajectory that are not above t = last; all of them for T - 1.
std::vector<PlanStep> ddpm_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options);

}  // namespace echodiff
