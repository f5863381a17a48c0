// What a value model is trained on: recorded trajectories with the label of their finished picture, split by mask.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffusion/schedule.h"
#include "tensor/io/png.h"
#include "tensor/tensor.h"

namespace echodiff {

struct ValueTrajectory {
  std::vector<GrayImage> x0hat;  // at `times`
  std::vector<int64_t> times;
  GrayImage final;
  int64_t mask = 0;   // its number in ValueData::masks
  bool good = false;  // the finished picture
};

struct ValueData {
  int64_t image_size = 0, planes = 0, T = 0;  // pixels a side, planes of a mask, time steps of training
  ScheduleKind schedule = ScheduleKind::linear;
  double log_snr_shift = 0;
  std::vector<std::string> plane_names;
  std::vector<Tensor> masks;  // (1, P, H, W) each, no two alike: one mask of several recordings is one mask here
  std::vector<ValueTrajectory> trajectories;
};

// Numbers of trajectories. A mask, and so a trajectory with all its frames, is in one part only.
struct ValueSplit {
  std::vector<int64_t> train, calibrate, test;
};
// The masks in an order drawn with `seed`: a share `test` of them, then `calibrate`, each at least one; the rest
// trains. Throws Error(kBadInput) when a part lacks good or poor trajectories.
ValueSplit split_by_mask(const ValueData& data, double calibrate, double test, uint64_t seed);

// One trajectory at one time: frame f < x0hat.size() is at times[f],
// the one after the last is the finished picture at -1.
struct ValueFrame {
  int64_t trajectory = 0, frame = 0;
};
// All of the trajectories; of a model of finished pictures (`on` x0) only those.
std::vector<ValueFrame> frames_of(const ValueData& data, const std::vector<int64_t>& trajectories,
                                  const std::string& on);

struct ValueBatch {
  Tensor images, t, condition, targets;  // (N, 1, H, W), (N) i64, (N, P, H, W), (N, 1)
};
// What a model is shown `on` x0hat or xt: of x_t, which recordings don't hold, a draw from q(x_t | finished picture) by
// (seed, stream first + i), clamped to [-1, 1] as the sampler clamps it. `mirrored[i]`: picture and mask left to right.
ValueBatch make_value_batch(const ValueData& data, const Schedule& schedule, const std::vector<ValueFrame>& frames,
                            const std::vector<bool>& mirrored, const std::string& on, uint64_t seed, int64_t first);

// Samples first .. first+count-1 of a training run, both even: good and poor in turn, shuffled each epoch; the frame
// and the mirroring drawn. Functions of (seed, sample).
ValueBatch draw_value_batch(const ValueData& data, const Schedule& schedule, const std::vector<int64_t>& trajectories,
                            const std::string& on, uint64_t seed, int64_t first, int64_t count);

}  // namespace echodiff
