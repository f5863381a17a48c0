// DPM-Solver++(2M), Lu et al. 2022 (arXiv:2211.01095), algorithm 2, in the midpoint form of diffusers 0.42.1:
// deterministic, second order except in its first and last step. With lambda = log(alpha / sigma), h the step in
// lambda and r = h_before / h,
//   x_next = sigma_next / sigma x - alpha_next (e^-h - 1) (x0_hat + (x0_hat - x0_hat_before) / (2 r))
// sigma is 0 at the end, so the last step returns x0_hat.
#pragma once

#include <functional>
#include <vector>

#include "diffusion/samplers/plan.h"

namespace echodiff {

// From T - 1 alone, or by the options' grid.
std::vector<PlanStep> dpmpp_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options);

// A time that a solver in lambda visits, with what it computes by.
struct LogSnr {
  int64_t t;
  double alpha, sigma, lambda;
};
// The rows of such a solver. `fill` adds what row i, from level i to the next, takes of the x0_hats; from_x is the
// ratio of their sigmas, and the last row returns x0_hat.
using FillRow = std::function<void(const std::vector<LogSnr>& levels, size_t i, PlanStep& row)>;
std::vector<PlanStep> solver_steps(const Schedule& schedule, int64_t K, const SamplerOptions& options,
                                   const FillRow& fill);

}  // namespace echodiff
