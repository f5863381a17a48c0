// One reverse step of any sampler that is linear in what it knows:
//   x_next = from_x x + from_x_start x0_hat + from_eps eps + from_previous x0_hat_of_the_step_before
//            + from_earlier x0_hat_of_the_one_before_that + noise_scale z
// with x0_hat and eps read from what the network answered. The rows of coefficients come from src/diffusion/samplers.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/cuda/host_device.h"
#include "kernels/cuda/stream.h"

namespace echodiff {

enum class Prediction { eps, v, x0 };  // what the network's output stands for

struct PlanStep {
  int64_t t = 0, next_t = -1;  // the network's time before and after; -1: x_next is the finished x_0
  float sqrt_alpha_bar = 0, sqrt_one_minus_alpha_bar = 0, sqrt_recip_alpha_bar = 0, sqrt_recipm1_alpha_bar = 0;
  float from_x = 0, from_x_start = 0, from_eps = 0, from_previous = 0, from_earlier = 0;
  float noise_scale = 0;
  float min_log_variance = 0, max_log_variance = 0;  // learned variance interpolates between them
  bool draws_noise = false;
};

struct SamplerRule {
  Prediction prediction;
  bool clip;              // clamp x0_hat to [-1, 1]
  bool rederive_eps;      // eps follows the clamped x0_hat (ddim)
  bool learned_variance;  // noise_scale comes from the network
};

// Of one sample. previous is x0_hat of the step before, earlier of the one before that; variance is read with
// learned_variance, noise where the row draws noise; the four may be null otherwise.
struct SamplerBuffers {
  const float *x, *output, *variance, *noise, *previous, *earlier;
  float *next, *x_start, *eps;
};

// One sample's step, with all it takes.
struct SamplerUpdate {
  SamplerRule rule;
  PlanStep row;
  SamplerBuffers at;
};

// Element i. A zero coefficient means "not used", even where the value isn't finite.
ECHODIFF_HOST_DEVICE inline void sampler_element(const SamplerUpdate& update, int64_t i) {
  const auto& [rule, row, at] = update;
  const float x = at.x[i], output = at.output[i];
  float x_start = 0, eps = output;
  if (rule.prediction == Prediction::eps) {
    x_start = row.sqrt_recip_alpha_bar * x - row.sqrt_recipm1_alpha_bar * eps;
  } else {
    x_start =
        rule.prediction == Prediction::x0 ? output : row.sqrt_alpha_bar * x - row.sqrt_one_minus_alpha_bar * output;
    eps = (row.sqrt_recip_alpha_bar * x - x_start) / row.sqrt_recipm1_alpha_bar;
  }
  if (rule.clip) x_start = x_start < -1.0f ? -1.0f : x_start > 1.0f ? 1.0f : x_start;
  if (rule.rederive_eps) eps = (row.sqrt_recip_alpha_bar * x - x_start) / row.sqrt_recipm1_alpha_bar;
  at.x_start[i] = x_start;
  at.eps[i] = eps;
  float next = row.from_x_start * x_start;
  if (row.from_x != 0) next += row.from_x * x;
  if (row.from_eps != 0) next += row.from_eps * eps;
  if (row.from_previous != 0) next += row.from_previous * at.previous[i];
  if (row.from_earlier != 0) next += row.from_earlier * at.earlier[i];
  if (row.draws_noise) {
    float scale = row.noise_scale;
    if (rule.learned_variance) {  // Nichol & Dhariwal 2021, equation (15)
      const float share = (at.variance[i] + 1) / 2;
      scale = std::exp(0.5f * (share * row.max_log_variance + (1 - share) * row.min_log_variance));
    }
    next += scale * at.noise[i];
  }
  at.next[i] = next;
}

namespace reference {
void sampler_update(const SamplerUpdate&, int64_t count);
}  // namespace reference

namespace cuda {
// N samples of `count` elements, each by its own entry of updates (N), which lies on the device.
void sampler_update(const SamplerUpdate* updates, int64_t N, int64_t count, Stream);
}  // namespace cuda
}  // namespace echodiff
