// Where a sampler begins below T - 1, pure noise is not what the network was trained on there: a small share of x_t is
// still picture, and noise alone says "grey". So on dark pictures a trajectory begins at
//   x_start = sqrt(alpha_bar_t) m + sqrt(1 - alpha_bar_t) x_T
// in place of x_T. m is the mean of what the network predicts of a mask at T - 1, over a few draws of noise:
//   m = 1 / N sum_j clamp(x0_hat(z_j, T - 1)),   z_j = fill_normal(seed of Draw::mean_start, mask, j)
// It is a function of (seed, mask, N) alone, and asked for once a mask, when the mask's first trajectory begins.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "diffusion/schedule.h"
#include "quality/sampling/job.h"

namespace echodiff {

constexpr int64_t kMeanStart = 4;  // N, where nobody says; measured in docs/design/sampling.md

class MeanPictures {
 public:
  // Of the job's masks, by its network, on its device, with its prediction and guidance.
  MeanPictures(const Schedule& schedule, const SamplerJob& job, Network network, uint64_t seed, int64_t draws);

  // m of condition number `mask`: (1, 1, H, W) on the CPU. Not for several threads at once.
  const Tensor& of(int64_t mask);
  int64_t draws() const { return draws_; }

 private:
  Tensor asked(int64_t mask) const;

  SamplingPlan plan_;  // the one step from T - 1 to x0_hat
  std::vector<Tensor> conditions_, means_;
  Network network_;
  double guidance_;
  Device device_;
  uint64_t seed_;
  int64_t draws_;
};

// The job begins at the means of its masks: its noise source gives x_start in place of x_T, and its trajectories count
// the calls (SamplerJob::mean_start).
void begin_at_means(const Schedule& schedule, const std::shared_ptr<MeanPictures>& means, SamplerJob& job);

// Calls that trajectory `index` counts for its mask's mean: the first of the mask in this run pays.
int64_t mean_start_calls(const SamplerJob& job, int64_t index);

}  // namespace echodiff
