// The samplers, a row each: a new one is a file pair that makes its plan's rows, and a row in samplers.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "diffusion/samplers/plan.h"

namespace echodiff {

struct Sampler {
  const char* name;
  const char* summary;
  int64_t usual_steps = 0;       // where nobody says how many; 0: all T
  int64_t spared_steps = 0;      // it takes at most T less these
  bool clips = true;             // x0_hat, where nobody says
  bool rederives_eps = false;    // from the clamped x0_hat
  bool takes_eta = false;        // SamplerOptions::eta
  bool takes_variance = false;   // SamplerOptions::variance
  bool takes_grid = false;       // SamplerOptions::grid
  bool begins_anywhere = false;  // can begin at any t = last, not at T - 1 alone
  // K steps from x_T to x_0, Error(kUsage) when K doesn't fit T; where it begins at last < T - 1, at most K from there.
  std::vector<PlanStep> (*rows)(const Schedule& schedule, int64_t last, int64_t K, const SamplerOptions& options);

  int64_t default_steps(int64_t T) const;  // never more than T allows
};

std::span<const Sampler> samplers();
const Sampler& sampler_of(const std::string& name);  // throws Error(kUsage), naming those there are

}  // namespace echodiff
