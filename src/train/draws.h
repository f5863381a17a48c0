// Every random number of training is a pure function of (seed, what it is for, number of the sample): there is no
// generator state to save, and a resumed run draws what the unbroken one drew.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

enum class Draw : uint64_t {
  order = 1,
  time,
  noise,
  augment,
  mask_drop,
  dropout,
  val_time,
  val_noise,
  grid_noise,
  mean_start,
  told_augment
};

// The seed of one purpose: purposes never share numbers.
uint64_t seed_of(uint64_t seed, Draw draw);

// Which of n examples the samples first .. first+count-1 of a run are: a new shuffle each epoch of n samples, a
// function of (seed, epoch) alone.
std::vector<int64_t> draw_examples(uint64_t seed, int64_t n, int64_t first, int64_t count);

// t (count) i64, uniform in 0..T-1, of the samples first .. first+count-1.
Tensor draw_times(uint64_t seed, Draw draw, int64_t first, int64_t count, int64_t T);

// Standard normal, of `shape` (N, ...): entry n is that of sample first + n.
Tensor draw_noise(uint64_t seed, Draw draw, int64_t first, const Shape& shape, Device device = Device::kCpu);

}  // namespace echodiff
