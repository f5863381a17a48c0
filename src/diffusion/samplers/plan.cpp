#include "diffusion/samplers/plan.h"

#include <algorithm>
#include <utility>

#include "diffusion/samplers/ddim.h"
#include "diffusion/samplers/samplers.h"
#include "kernels/error.h"
#include "kernels/thread_pool.h"
#include "tensor/dispatch.h"

namespace echodiff {

Variance parse_variance(const std::string& name) {
  if (name == "posterior") return Variance::posterior;
  if (name == "beta") return Variance::beta;
  check_input(name == "learned", Fault::kUsage, "variance: expected posterior, beta or learned, found '", name, "'");
  return Variance::learned;
}

PlanStep plan_step(const Schedule& schedule, int64_t t, int64_t next_t) {
  PlanStep row;
  row.t = t;
  row.next_t = next_t;
  row.sqrt_alpha_bar = float(schedule.sqrt_alphas_cumprod[size_t(t)]);
  row.sqrt_one_minus_alpha_bar = float(schedule.sqrt_one_minus_alphas_cumprod[size_t(t)]);
  row.sqrt_recip_alpha_bar = float(schedule.sqrt_recip_alphas_cumprod[size_t(t)]);
  row.sqrt_recipm1_alpha_bar = float(schedule.sqrt_recipm1_alphas_cumprod[size_t(t)]);
  return row;
}

SamplingPlan make_plan(const Schedule& schedule, const SamplerOptions& options) {
  const Sampler& sampler = sampler_of(options.sampler);
  const bool own_times = options.grid == Grid();
  check_input(sampler.takes_grid || own_times, Fault::kUsage, "grid: the sampler ", options.sampler,
              " visits times of its own; choose another sampler, or leave the grid out");
  const int64_t given = int64_t(options.grid.times.size());
  const int64_t K = options.steps > 0 ? options.steps : given > 0 ? given : sampler.default_steps(schedule.T);
  SamplingPlan plan;
  plan.prediction = options.prediction;
  plan.clip = options.clip;
  plan.rederive_eps = sampler.rederives_eps && options.clip;
  plan.learned_variance = sampler.takes_variance && options.variance == Variance::learned;
  plan.steps = sampler.rows(schedule, schedule.T - 1, K, options);
  return plan;
}

SamplingPlan make_tail(const Schedule& schedule, const SamplerOptions& options, int64_t t, int64_t K) {
  SamplingPlan plan;
  plan.prediction = options.prediction;
  plan.clip = plan.rederive_eps = options.clip;
  plan.steps = ddim_steps(schedule, t, std::min(K, t + 1), {});
  return plan;
}

void take_steps(const std::vector<Walk>& walks, const Tensor& output, const Tensor& variance, const Tensor& noise) {
  const int64_t N = int64_t(walks.size());
  check(output.rank() == 4 && output.dim(0) == N, "take_steps: an output of ", output.shape(), " for ", N, " samples");
  Shape one = output.shape();
  one[0] = 1;
  const int64_t count = one.count();
  const Device device = output.device();
  const auto row_of = [&](const Tensor& rows, int64_t n) {
    return rows ? rows.data<float>(device) + n * count : nullptr;
  };
  std::vector<SampleState> next;
  std::vector<SamplerUpdate> updates;
  int64_t drawn = 0;
  for (int64_t n = 0; n < N; ++n) {
    const auto& [plan, state] = walks[size_t(n)];
    check(state->step < plan->count(), "take_steps: this sample is finished after ", plan->count(), " steps");
    check(state->x.shape() == one, "take_steps: x ", state->x.shape(), " for an output of ", output.shape());
    check(variance || !plan->learned_variance, "take_steps: a learned variance needs the network's second half");
    const PlanStep& row = walks[size_t(n)].row();
    check(!row.draws_noise || (noise && drawn < noise.dim(0)), "take_steps: step ", state->step, " needs noise");
    SampleState& after =
        next.emplace_back(state->step + 1, empty(one, output), empty(one, output), empty(one, output), state->x_start);
    updates.push_back({{plan->prediction, plan->clip, plan->rederive_eps, plan->learned_variance},
                       row,
                       {state->x.data<float>(device), row_of(output, n), row_of(variance, n),
                        row.draws_noise ? row_of(noise, drawn++) : nullptr, row_of(state->x_start, 0),
                        row_of(state->earlier, 0), after.x.mutable_data<float>(device),
                        after.x_start.mutable_data<float>(device), after.eps.mutable_data<float>(device)}});
  }
  on_device_of(
      output, "take_steps",
      [&] { parallel_for(N, [&](int64_t n) { reference::sampler_update(updates[size_t(n)], count); }); },
      [&](DeviceCall& gpu) { cuda::sampler_update(gpu.table(updates), N, count, gpu.stream()); });
  for (int64_t n = 0; n < N; ++n) *walks[size_t(n)].state = std::move(next[size_t(n)]);
}

}  // namespace echodiff
