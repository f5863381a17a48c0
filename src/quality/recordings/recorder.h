// Samples whole trajectories and writes them as a recording (recording.h), shard by shard: what is there is kept, so an
// interrupted recording goes on, and a larger count adds to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "quality/recordings/recording.h"
#include "quality/recordings/shard.h"
#include "quality/sampling/sampler.h"

namespace echodiff {

struct RecorderJob {
  RecordingFacts facts;
  SamplerJob sampling;        // plan, conditions, noise, count, batch, guidance, DeepCache; no policy or judge is asked
  std::vector<Judge> judges;  // one for each of facts.judges
  Shard part = {};  // of several processes: this one makes the files whose number is part.index modulo part.of
};

struct RecorderHooks {
  std::function<void(int64_t done, int64_t total)> on_progress;  // in steps of the plan
  std::function<bool()> stop;                                    // true: the shard under way is dropped
};

// Returns the number of trajectories the recording, or its part, now holds. Throws Error as open_recording, read_shard,
// run_sampler.
int64_t record_trajectories(const std::string& directory, const RecorderJob& job, const Network& network,
                            const RecorderHooks& hooks);

// At most `count` steps, spread evenly from the first one on; the last, whose x0_hat is the finished picture, is left
// out.
std::vector<int64_t> spread_thumbnails(int64_t steps, int64_t count);

}  // namespace echodiff
