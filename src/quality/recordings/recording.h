// Whole trajectories on disk, so that a policy can be replayed on them and a judge trained on them.
//
//   REC/recording.json               RecordingFacts: what was sampled, with what, and how it was scored
//   REC/conditions.safetensors       planes (M, H, W) u8: bit p is plane p; trajectory i has number i mod M
//   REC/chains-0000.safetensors ...  `per_shard` trajectories each, n in the last
//     index, condition  (n) i64
//     scores/JUDGE      (n, K+1) f32  after each of the K steps, of x0_hat_t or of x_t as the judge is declared; the
//                                     last of the finished 8-bit picture. NaN at steps that `score_every` leaves out
//     start/JUDGE       (n) f32       of x_T, before the first call; with a mean start of x_start in its place
//     x0hat             (n, S, H, W) u8  after the steps `thumbnail_steps`
//     final             (n, H, W) u8
//     metrics           (n, 3) f32    sharpness, contrast, noise of `final`
//     label             (n) u8        1: good by the thresholds; absent where the recording has none
//   REC/seconds.jsonl                of each {"shard", "unet_calls", "unet_seconds", "scored_images",
//                                    "scorer_seconds"}; with DeepCache also "shallow_calls" and "shallow_seconds",
//                                    parts of unet_...
// Shards are sealed as checkpoints are (train/checkpoint.h). x_T and every later noise follow from (seed, index, step):
// fill_normal(seed, index, 0) and fill_normal(seed, index, step + 1); a mean start from the network too
// (sampling/mean_start.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quality/labels/thresholds.h"
#include "quality/sampling/sampler.h"
#include "quality/sampling/sampler_facts.h"
#include "tensor/io/png.h"
#include "tensor/tensor.h"
#include "train/folder/fit.h"

namespace echodiff {

struct RecordedJudge {
  std::string name;
  ScoreOn on = ScoreOn::x0hat;
  std::string hash;  // of its checkpoint
};

// All that decides the bytes of a shard.
struct RecordingFacts : SamplerFacts {
  std::string model_hash;
  int64_t per_shard = 64, score_every = 1;
  std::vector<int64_t> times, next_times;  // of each of the K steps: x0_hat is of times[k], x of next_times[k]
  std::vector<int64_t> thumbnail_steps;    // S of them, ascending
  std::vector<RecordedJudge> judges;
  std::optional<Thresholds> thresholds;
  std::vector<std::string> planes, masks;  // names of the planes, and the M mask files
  Fit fit = Fit::squash;                   // how the masks became square

  int64_t steps() const { return int64_t(times.size()); }
  size_t judge(const std::string& name) const;  // its number; throws Error(kUsage) listing the names there are
  // Is step k scored? The last step always is.
  bool scored(int64_t k) const { return k % score_every == 0 || k == steps() - 1; }
};

struct Trajectory {
  int64_t index = 0, condition = 0;
  std::vector<std::vector<float>> scores;  // a row of K + 1 per judge
  std::vector<float> start;                // per judge, of x_T
  std::vector<GrayImage> x0hat;            // S
  GrayImage final;
  Metrics metrics;
  std::optional<bool> good;

  // Of x_T where step is -1.
  float score_after(size_t judge, int64_t step) const { return step < 0 ? start[judge] : scores[judge][size_t(step)]; }
};

struct RecordedSeconds {
  int64_t unet_calls = 0, shallow_calls = 0, scored_images = 0;  // shallow: of unet_calls
  double unet_seconds = 0, shallow_seconds = 0, scorer_seconds = 0;
};

struct Recording {
  RecordingFacts facts;
  std::vector<Tensor> conditions;        // (1, P, H, W) each, in {0, 1}
  std::vector<Trajectory> trajectories;  // index 0, 1, 2, ...
  RecordedSeconds seconds;               // of all shards
};

// `pictures` false leaves x0hat and final empty. Throws Error: kMissingInput; kBadInput for a damaged or foreign file,
// and for a shard that is missing between two others.
Recording read_recording(const std::string& directory, bool pictures);
RecordingFacts read_recording_facts(const std::string& directory);

// Makes the folder, or checks that it holds a recording of the same facts: Error(kCannotCreate) names the first that
// differs.
void open_recording(const std::string& directory, const RecordingFacts& facts, const std::vector<Tensor>& conditions);

std::string shard_path(const std::string& directory, int64_t shard);
// The trajectories of one shard; empty when there is no such file. Throws Error(kBadInput) when it is damaged.
std::vector<Trajectory> read_shard(const std::string& directory, int64_t shard, const RecordingFacts& facts,
                                   bool pictures);
// Whole or not at all.
void write_shard(const std::string& directory, int64_t shard, const RecordingFacts& facts,
                 const std::vector<Trajectory>& trajectories, const RecordedSeconds& seconds);

}  // namespace echodiff
