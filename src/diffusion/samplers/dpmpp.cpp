#include "diffusion/samplers/dpmpp.h"

#include <cmath>

#include "diffusion/respace.h"

namespace echodiff {

std::vector<PlanStep> solver_steps(const Schedule& schedule, int64_t K, const SamplerOptions& options,
                                   const FillRow& fill) {
  const std::vector<int64_t> times =
      options.grid == Grid() ? dpmpp_times(schedule.T, K) : grid_times(schedule, options.grid, K);
  std::vector<LogSnr> levels;
  for (const int64_t t : times) {
    const double alpha = schedule.sqrt_alphas_cumprod[size_t(t)],
                 sigma = schedule.sqrt_one_minus_alphas_cumprod[size_t(t)];
    levels.push_back({t, alpha, sigma, std::log(alpha / sigma)});
  }
  std::vector<PlanStep> steps;
  for (size_t i = 0; i < levels.size(); ++i) {
    const bool last = i + 1 == levels.size();
    PlanStep row = plan_step(schedule, levels[i].t, last ? -1 : levels[i + 1].t);
    if (last) {
      row.from_x_start = 1;
    } else {
      row.from_x = float(levels[i + 1].sigma / levels[i].sigma);
      fill(levels, i, row);
    }
    steps.push_back(row);
  }
  return steps;
}

std::vector<PlanStep> dpmpp_steps(const Schedule& schedule, int64_t, int64_t K, const SamplerOptions& options) {
  return solver_steps(schedule, K, options, [](const std::vector<LogSnr>& levels, size_t i, PlanStep& row) {
    const LogSnr &here = levels[i], &next = levels[i + 1];
    const double h = next.lambda - here.lambda, gain = -next.alpha * std::expm1(-h);
    const double half_r = i == 0 ? 0 : h / (2 * (here.lambda - levels[i - 1].lambda));  // 1 / (2 r)
    row.from_x_start = float(gain * (1 + half_r));
    row.from_previous = float(-gain * half_r);
  });
}

}  // namespace echodiff
