// What a sampler is asked for: the plan, the policy, the conditions, the noise, and how many trajectories.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "diffusion/samplers/noise.h"
#include "diffusion/samplers/plan.h"
#include "quality/judges/judge.h"
#include "quality/sampling/exits.h"
#include "quality/sampling/policy/policy.h"
#include "tensor/tensor.h"

namespace echodiff {

// x (n, 1, H, W), t (n) i64, condition (n, P, H, W) -> (n, 1, H, W), or (n, 2, H, W) with a learned variance. x,
// condition and the answer are on the job's device, t on the CPU. network.h has a run's.
using Network = std::function<Tensor(const Tensor& x, const Tensor& t, const Tensor& condition)>;
// The same with the deep levels' output of n trajectories, as Denoiser takes it: undefined before a whole call.
using CachingNetwork = std::function<Tensor(const Tensor& x, const Tensor& t, const Tensor& condition, Tensor& deep)>;

enum class Keep { finish, x0hat, xt };  // what is kept of a trajectory accepted before its end

struct SamplerJob {
  SamplingPlan plan;
  Policy policy;
  // Keep::finish: the plan that finishes from x_t at time t; empty: the same plan goes on, unwatched. It is taken only
  // where it is shorter than the rest of the plan.
  std::function<SamplingPlan(int64_t t)> tail;
  Device device = Device::kCpu;    // of the network, and of the trajectories
  std::vector<Tensor> conditions;  // (1, P, H, W) each, all of one shape; trajectory i takes number i mod their count
  NoiseSource noise;               // default_noise(seed)
  int64_t mean_start = 0;          // draws behind the mean picture that a mask's trajectories begin at (mean_start.h)
  int64_t first = 0, count = 0;    // trajectories first..count-1
  int64_t batch = 8;
  int64_t shard = 0, shards = 1;           // only trajectories of index % shards == shard
  std::optional<int64_t> accept;           // stop after so many kept, counted in index order
  std::optional<int64_t> accept_per_mask;  // no more than so many of each condition, counted in index order
  double guidance = 1;                     // other than 1: two calls a step (condition.h)
  CachingNetwork caching;                  // DeepCache and AdaDiff: calls it in the network's stead; without guidance
  int64_t whole_every = 1;        // DeepCache: so many steps of a plan share what the first one's deep levels say
  std::optional<ExitRule> exits;  // AdaDiff in its place: calls are shallow
  double exit_error = 0;          // where the rule expects less error than this; a tail's are whole
  Judge final_judge;              // of finished pictures; empty: the one that judges on the way
  double tau = 0.95;              // the finished picture must reach it, where the policy judges that
  ScoreOn score_on = ScoreOn::x0hat;
  Keep keep = Keep::finish;
  // K: the kept picture is x0_hat + K (x_t / alpha - x0_hat) inside of the sector, of the last step. Judges see x0_hat.
  double keep_noise = 0;
};

}  // namespace echodiff
