#include "diffusion/samplers/dpmpp.h"

#include <cmath>

#include "diffusion/respace.h"

namespace echodiff {

std::vector<PlanStep> dpmpp_steps(const Schedule& schedule, int64_t, int64_t K, const SamplerOptions&) {
  const std::vector<int64_t> times = dpmpp_times(schedule.T, K);
  struct Level {
    double alpha, sigma, lambda;
  };
  std::vector<Level> levels;
  for (const int64_t t : times) {
    const double alpha = schedule.sqrt_alphas_cumprod[size_t(t)],
                 sigma = schedule.sqrt_one_minus_alphas_cumprod[size_t(t)];
    levels.push_back({alpha, sigma, std::log(alpha / sigma)});
  }
  std::vector<PlanStep> steps;
  for (size_t i = 0; i < times.size(); ++i) {
    const bool last = i + 1 == times.size();
    PlanStep row = plan_step(schedule, times[i], last ? -1 : times[i + 1]);
    if (last) {
      row.from_x_start = 1;
    } else {
      const Level &here = levels[i], &next = levels[i + 1];
      const double h = next.lambda - here.lambda, gain = -next.alpha * std::expm1(-h);
      const double half_r = i == 0 ? 0 : h / (2 * (here.lambda - levels[i - 1].lambda));  // 1 / (2 r)
      row.from_x = float(next.sigma / here.sigma);
      row.from_x_start = float(gain * (1 + half_r));
      row.from_previous = float(-gain * half_r);
    }
    steps.push_back(row);
  }
  return steps;
}

}  // namespace echodiff
