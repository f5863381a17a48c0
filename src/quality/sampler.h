// Sampling with a judge in the loop (sections 2.3 and 5.3 of the paper): N trajectories, `batch` slots.
//
// A slot whose trajectory is dropped or finished is refilled at once, so the network's batch stays full and holds
// samples at different steps. What a trajectory becomes is a function of (seed, its index) alone, never of its
// neighbours, the batch, the slot, the shard or the thread count; records are handed out in index order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/samplers/plan.h"
#include "quality/exits.h"
#include "quality/policy/policy.h"
#include "tensor/io/png.h"
#include "tensor/tensor.h"

namespace echodiff {

// x (n, 1, H, W), t (n) i64, condition (n, P, H, W) -> (n, 1, H, W), or (n, 2, H, W) with a learned variance. x,
// condition and the answer are on the job's device, t on the CPU. network.h has a run's.
using Network = std::function<Tensor(const Tensor& x, const Tensor& t, const Tensor& condition)>;
// The same with the deep levels' output of n trajectories, as Denoiser takes it: undefined before a whole call.
using CachingNetwork = std::function<Tensor(const Tensor& x, const Tensor& t, const Tensor& condition, Tensor& deep)>;
// images (n, 1, H, W) in [-1, 1], t (n) i64 the time of each (-1: finished), condition (n, P, H, W), all on the CPU ->
// n scores in 0..1. Must give a picture the same score in any batch.
using Judge = std::function<std::vector<double>(const Tensor& images, const Tensor& t, const Tensor& condition)>;
// To [-1, 1], as judges see what is on its way.
void clamp_pictures(Tensor& images);
// The judge's scores, held to be one for each picture and finite, and rounded to float as a recording holds them: a
// replay then decides the same. Throws Error(kInternal) for others.
std::vector<double> ask(const Judge& judge, const Tensor& images, const Tensor& t, const Tensor& condition);
// The `draw`-th noise of trajectory `index`: 0 is x_T, i + 1 is drawn by step i.
struct NoiseSource {
  std::function<void(int64_t index, int64_t draw, float* out, int64_t count)> fill;
  // Where fill is fill_normal(seed, index, draw): a device draws the same numbers itself.
  std::optional<uint64_t> seed = std::nullopt;
  void operator()(int64_t index, int64_t draw, float* out, int64_t count) const { fill(index, draw, out, count); }
};

enum class ScoreOn { x0hat, xt };  // what the policy's scores look at
const char* name_of(ScoreOn on);   // x0hat, xt
ScoreOn parse_score_on(const std::string& name);
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
};

// What became of one trajectory.
struct SampleRecord {
  int64_t index = 0, condition = 0, unet_calls = 0;
  int64_t shallow_calls = 0;          // of unet_calls
  std::string decision;               // "accepted", "discarded"; "finished" where nothing judged
  std::string reason;                 // reached_tau, reached_tau_early, no_policy; stagnation, final_score, ...
  std::optional<double> final_score;  // of `image`, where it was made
  std::optional<int64_t> halted_t;    // the time at which the policy decided, if before the end
  std::optional<int64_t> ancestor;    // the trajectory whose state it took over last
  double seconds = 0;                 // its shares of the network's and the judge's time
  std::vector<Score> scores;
  GrayImage image;  // what is kept; of one dropped on its way: x0_hat where it stopped
  bool kept() const { return decision != "discarded"; }
};

struct SamplerTotals {
  int64_t trajectories = 0, kept = 0, unet_calls = 0;  // of the records handed out
  int64_t shallow_calls = 0;                           // of unet_calls
  int64_t begun = 0;                                   // trajectories, handed out or not
  int64_t unused_calls = 0;  // of trajectories begun beyond the one that `accept` stopped at, or interrupted
  int64_t scored_images = 0;
  double unet_seconds = 0, scorer_seconds = 0;
  struct Calls {
    int64_t count = 0;
    double seconds = 0;
  };
  Calls whole, shallow;          // calls made, handed out or not
  int64_t full_batch_calls = 0;  // of calls with no slot empty, and their time: what a call costs in a full batch
  double full_batch_seconds = 0;
  bool interrupted = false;
};

// One trajectory after a step. The state's pictures are on the job's device.
struct Stepped {
  int64_t index = 0, condition = 0;
  int64_t step = 0, t = 0, next_t = 0;  // the step just taken: x0_hat is of time t, x of next_t
  const SampleState* state = nullptr;
};

struct SamplerHooks {
  std::function<void(const SampleRecord&)> on_record;            // in index order
  std::function<void(const std::vector<Stepped>&)> on_step;      // after each call, all slots
  std::function<void(int64_t done, int64_t total)> on_progress;  // in steps of the plan
  std::function<bool()> stop;  // asked before each call: true hands out what is decided and returns
};

// Throws Error: kInternal when the network or the judge answers NaN or infinity, or shapes don't fit. The judge may be
// empty if the policy needs none.
SamplerTotals run_sampler(const SamplerJob& job, const Network& network, const Judge& judge, const SamplerHooks& hooks);

// fill_normal(seed, index, draw).
NoiseSource default_noise(uint64_t seed);

}  // namespace echodiff
