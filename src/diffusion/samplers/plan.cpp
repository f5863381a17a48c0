#include "diffusion/samplers/plan.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "diffusion/samplers/ddim.h"
#include "diffusion/samplers/ddpm.h"
#include "diffusion/samplers/dpmpp.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

// x0_hat and eps of one element from what the network answered.
void read_output(Prediction prediction, const PlanStep& row, float x, float output, float& x_start, float& eps) {
  if (prediction == Prediction::eps) {
    eps = output;
    x_start = row.sqrt_recip_alpha_bar * x - row.sqrt_recipm1_alpha_bar * eps;
    return;
  }
  x_start = prediction == Prediction::x0 ? output : row.sqrt_alpha_bar * x - row.sqrt_one_minus_alpha_bar * output;
  eps = (row.sqrt_recip_alpha_bar * x - x_start) / row.sqrt_recipm1_alpha_bar;
}

}  // namespace

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
  for (size_t i = 0; i < count; ++i) {
    const float x = state.x[i];
    float x_start = 0, eps = 0;
    read_output(plan.prediction, row, x, output[i], x_start, eps);
    if (plan.clip) x_start = std::clamp(x_start, -1.0f, 1.0f);
    if (plan.rederive_eps) eps = (row.sqrt_recip_alpha_bar * x - x_start) / row.sqrt_recipm1_alpha_bar;
    state.x_start[i] = x_start;
    state.eps[i] = eps;
    float next = row.from_x_start * x_start;
    // A zero coefficient means "not used", even where the value isn't finite.
    if (row.from_x != 0) next += row.from_x * x;
    if (row.from_eps != 0) next += row.from_eps * eps;
    if (row.from_previous != 0) next += row.from_previous * state.previous[i];
    if (row.draws_noise) {
      float scale = row.noise_scale;
      if (plan.learned_variance) {  // Nichol & Dhariwal 2021, equation (15)
        const float share = (variance[i] + 1) / 2;
        scale = std::exp(0.5f * (share * row.max_log_variance + (1 - share) * row.min_log_variance));
      }
      next += scale * noise[i];
    }
    state.x[i] = next;
  }
  ++state.step;
}

}  // namespace echodiff
