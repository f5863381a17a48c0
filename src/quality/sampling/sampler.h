// Sampling with a judge in the loop (sections 2.3 and 5.3 of the paper): N trajectories, `batch` slots.
//
// A slot whose trajectory is dropped or finished is refilled at once, so the network's batch stays full and holds
// samples at different steps. What a trajectory becomes is a function of (seed, its index) alone, never of its
// neighbours, the batch, the slot, the shard or the thread count; records are handed out in index order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quality/sampling/job.h"
#include "tensor/io/png.h"

namespace echodiff {

// What became of one trajectory.
struct SampleRecord {
  int64_t index = 0, condition = 0, unet_calls = 0;
  int64_t shallow_calls = 0;          // of unet_calls
  int64_t mean_start_calls = 0;       // of unet_calls: for its mask's mean start, where it is the mask's first
  std::string decision;               // "accepted", "discarded"; "finished" where nothing judged
  std::string reason;                 // reached_tau, reached_tau_early, no_policy; stagnation, final_score, ...
  std::optional<double> final_score;  // of `image`, where it was made
  std::optional<int64_t> halted_t;    // the time at which the policy decided, if before the end
  std::optional<int64_t> ancestor;    // the trajectory whose state it took over last
  double seconds = 0;                 // its shares of the network's and the judge's time
  std::vector<Score> scores;
  GrayImage image;   // what is kept; of one dropped on its way: x0_hat where it stopped
  GrayImage scored;  // what judges saw of a finished one, where it is kept with noise; else empty
  bool kept() const { return decision != "discarded"; }
};

using KnownRecords = std::map<int64_t, SampleRecord>;  // by index

struct SamplerTotals {
  int64_t trajectories = 0, kept = 0, unet_calls = 0;  // of the records handed out
  int64_t shallow_calls = 0;                           // of unet_calls
  int64_t begun = 0;                                   // trajectories, handed out or not
  int64_t mean_start_calls = 0;                        // that these count
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
// empty if the policy needs none. `known` is what a run of the same job has decided before it was broken off: every
// record comes once more, the totals are those of the unbroken run (but for times), and the network is called for what
// is not known alone. Stopped (tensor/observe.h), thrown by an op, ends it as hooks.stop does.
SamplerTotals run_sampler(const SamplerJob& job, const Network& network, const Judge& judge, const SamplerHooks& hooks,
                          const KnownRecords& known = {});

}  // namespace echodiff
