// A sampler as a table: one row of coefficients per reverse step, computed once, the same for every sample.
//
// All samplers here are linear in what they know, so one function walks any of them:
//   x_next = from_x x + from_x_start x0_hat + from_eps eps + from_previous x0_hat_of_the_step_before
//            + from_earlier x0_hat_of_the_one_before_that + noise_scale z
// samplers.h lists who fills the rows. A sample carries its own position in the table, so samples at different
// steps, or of different tables, share one call of the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffusion/diffusion.h"
#include "diffusion/samplers/grid.h"
#include "diffusion/schedule.h"
#include "kernels/sampler_update.h"
#include "tensor/tensor.h"

namespace echodiff {

enum class Variance { posterior, beta, learned };  // sigma_t^2 of ddpm; learned: the network's second half, Nichol 2021
Variance parse_variance(const std::string& name);  // "posterior", "beta", "learned"; throws Error(kUsage)

struct SamplerOptions {
  std::string sampler = "ddpm";  // of samplers.h
  int64_t steps = 0;             // 0: the sampler's own number
  Grid grid = {};                // the times that it visits, where the sampler takes one
  double eta = 0;                // ddim: 0 deterministic, 1 as noisy as ddpm
  bool clip = true;              // clamp x0_hat to [-1, 1] in every step
  Prediction prediction = Prediction::eps;
  Variance variance = Variance::posterior;  // ddpm only
};

struct SamplingPlan {
  Prediction prediction = Prediction::eps;
  bool clip = true;
  bool rederive_eps = false;  // eps follows the clamped x0_hat (ddim)
  bool learned_variance = false;
  std::vector<PlanStep> steps;
  int64_t count() const { return int64_t(steps.size()); }
};

// Throws Error(kUsage) for an unknown sampler, or when the number of steps doesn't fit T.
SamplingPlan make_plan(const Schedule& schedule, const SamplerOptions& options);

// A deterministic DDIM run of at most K steps from x_t at time t to x_0, to finish what another plan began.
SamplingPlan make_tail(const Schedule& schedule, const SamplerOptions& options, int64_t t, int64_t K);

// One sample on its way. Each (1, C, H, W), all on one device. No step writes over them, so copies may share them.
struct SampleState {
  int64_t step = 0;  // the plan's next row
  Tensor x;          // x_T at first
  Tensor eps;        // of the last step
  Tensor x_start;    // x0_hat of the last step
  Tensor earlier;    // x0_hat of the one before that
};

// A sample and the table it walks.
struct Walk {
  const SamplingPlan* plan;
  SampleState* state;
  const PlanStep& row() const { return plan->steps[size_t(state->step)]; }
};

// Every sample takes its own next row. output (n, C, H, W): the network's, for their x at their row's t. variance: the
// second half of the output of a network with learned variance, else undefined. noise: (k, C, H, W), of the k samples
// whose row draws, in their order; undefined for none.
void take_steps(const std::vector<Walk>& walks, const Tensor& output, const Tensor& variance = {},
                const Tensor& noise = {});

// A row for time t with the four scales of alpha_bar_t filled in (rounded to float, as the library's buffers).
PlanStep plan_step(const Schedule& schedule, int64_t t, int64_t next_t);

}  // namespace echodiff
