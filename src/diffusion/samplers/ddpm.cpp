#include "diffusion/samplers/ddpm.h"

#include <cmath>

#include "diffusion/respace.h"

namespace echodiff {

std::vector<PlanStep> ddpm_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options) {
  const std::vector<int64_t> times = ddpm_times(schedule.T, K);
  const Schedule spaced = respace(schedule, times);
  std::vector<PlanStep> steps;
  for (size_t i = 0; i < times.size(); ++i) {
    if (times[i] > last) continue;
    const bool ends = i + 1 == times.size();
    const size_t s = times.size() - 1 - i;  // index in the respaced schedule
    PlanStep row = plan_step(schedule, times[i], ends ? -1 : times[i + 1]);
    row.from_x_start = float(spaced.posterior_mean_coef1[s]);
    row.from_x = float(spaced.posterior_mean_coef2[s]);
    row.min_log_variance = float(spaced.posterior_log_variance_clipped[s]);
    row.max_log_variance = float(std::log(spaced.betas[s]));
    row.noise_scale =
        std::exp(0.5f * (options.variance == Variance::beta ? row.max_log_variance : row.min_log_variance));
    row.draws_noise = !ends;
    steps.push_back(row);
  }
  return steps;
}

}  // namespace echodiff
