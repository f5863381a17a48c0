// Sequential Monte Carlo over the group of trajectories of one mask (Feynman-Kac steering, Singhal et al. 2025,
// arXiv:2501.06848): weights exp(lambda * gain of the score since the last resampling); systematic resampling
// (Carpenter et al. 1999) when the effective sample size is below half of the group. A copy goes on with its own noise:
// with a deterministic sampler it stays a copy, so count distinct pictures. Needs live runs.
#pragma once

#include <cstdint>
#include <vector>

#include "quality/sampling/policy/policy.h"

namespace echodiff {

struct SmcOptions {
  int64_t group = 8;     // k
  double lambda = 10;    // weight of the score
  double warm_up = 0.2;  // share of the steps before the first score
  int64_t every = 1;     // steps from one score to the next
  uint64_t seed = 0;
};

// Throws Error(kUsage) for constants out of range.
Policy smc_policy(const SmcOptions& options);

// Member of each of n equally spaced points (u + i) / n of the cumulated weights, ascending; u in [0, 1).
std::vector<size_t> systematic_resampling(const std::vector<double>& weights, double u);
// (sum w)^2 / sum w^2
double effective_sample_size(const std::vector<double>& weights);

}  // namespace echodiff
