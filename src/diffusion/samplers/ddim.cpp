#include "diffusion/samplers/ddim.h"

#include <algorithm>
#include <cmath>

#include "diffusion/respace.h"

namespace echodiff {
namespace {

// The times that it visits, descending, and -1.
std::vector<int64_t> times_of(const Schedule& schedule, int64_t last, int64_t K, const Grid& grid) {
  const bool whole = last + 1 == schedule.T;
  if (!whole || grid == Grid()) return ddim_times(last, whole ? K : std::min(K, last + 1));
  std::vector<int64_t> times = grid_times(schedule, grid, K);
  times.push_back(-1);
  return times;
}

}  // namespace

std::vector<PlanStep> ddim_steps(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options) {
  const std::vector<int64_t> times = times_of(schedule, last, K, options.grid);
  std::vector<PlanStep> steps;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    PlanStep row = plan_step(schedule, times[i], times[i + 1]);
    if (row.next_t < 0) {
      row.from_x_start = 1;
    } else {
      const double a = double(float(schedule.alphas_cumprod[size_t(row.t)]));
      const double a_next = double(float(schedule.alphas_cumprod[size_t(row.next_t)]));
      const double sigma = options.eta * std::sqrt((1 - a / a_next) * (1 - a_next) / (1 - a));
      row.from_x_start = float(std::sqrt(a_next));
      row.from_eps = float(std::sqrt(std::max(0.0, 1 - a_next - sigma * sigma)));
      row.noise_scale = float(sigma);
      row.draws_noise = sigma > 0;
    }
    steps.push_back(row);
  }
  return steps;
}

}  // namespace echodiff
