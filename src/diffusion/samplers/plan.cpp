#include "diffusion/samplers/plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "diffusion/samplers/ddim.h"
#include "diffusion/samplers/ddpm.h"
#include "diffusion/samplers/dpmpp.h"
#include "kernels/error.h"

namespace echodiff {
SamplerKind parse_sampler(const std::string& name) {
  if (name == "ddpm") return SamplerKind::ddpm;
  if (name == "ddim") return SamplerKind::ddim;
  check_input(name == "dpmpp", Fault::kUsage, "sampler: expected ddpm, ddim or dpmpp, found '", name, "'");
  return SamplerKind::dpmpp;
}

Variance parse_variance(const std::string& name) {
  if (name == "posterior") return Variance::posterior;
  if (name == "beta") return Variance::beta;
  check_input(name == "learned", Fault::kUsage, "variance: expected posterior, beta or learned, found '", name, "'");
  return Variance::learned;
}

int64_t default_steps(SamplerKind kind, int64_t T) {
  if (kind == SamplerKind::ddpm) return T;
  if (kind == SamplerKind::ddim) return std::min<int64_t>(50, T);
  return std::clamp<int64_t>(T - 1, 1, 20);
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
  const int64_t K = options.steps > 0 ? options.steps : default_steps(options.kind, schedule.T);
  SamplingPlan plan;
  plan.prediction = options.prediction;
  plan.clip = options.clip;
  plan.rederive_eps = options.kind == SamplerKind::ddim && options.clip;
  plan.learned_variance = options.kind == SamplerKind::ddpm && options.variance == Variance::learned;
  if (options.kind == SamplerKind::ddpm) plan.steps = ddpm_steps(schedule, K, options.variance);
  if (options.kind == SamplerKind::ddim) plan.steps = ddim_steps(schedule, schedule.T - 1, K, options.eta);
  if (options.kind == SamplerKind::dpmpp) plan.steps = dpmpp_steps(schedule, K);
  return plan;
}

SamplingPlan make_tail(const Schedule& schedule, const SamplerOptions& options, int64_t t, int64_t K) {
  SamplingPlan plan;
  plan.prediction = options.prediction;
  plan.clip = plan.rederive_eps = options.clip;
  plan.steps = ddim_steps(schedule, t, std::min(K, t + 1), 0);
  return plan;
}

void advance(const SamplingPlan& plan, SampleState& state, const float* output, const float* variance,
             const float* noise) {
  check(state.step < plan.count(), "advance: this sample is finished after ", plan.count(), " steps");
  const PlanStep& row = plan.steps[size_t(state.step)];
  check(noise != nullptr || !row.draws_noise, "advance: step ", state.step, " needs noise");
  check(variance != nullptr || !plan.learned_variance, "advance: a learned variance needs the network's second half");
  const size_t count = state.x.size();
  std::swap(state.previous, state.x_start);
  state.previous.resize(count);  // zeros before the first step, which no row looks at
  state.x_start.resize(count);
  state.eps.resize(count);
  reference::sampler_update({plan.prediction, plan.clip, plan.rederive_eps, plan.learned_variance}, row, int64_t(count),
                            {output, variance, noise, state.previous.data(), state.x.data(), state.x_start.data(), state.eps.data()});
  ++state.step;
}

}  // namespace echodiff
