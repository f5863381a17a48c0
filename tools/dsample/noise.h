// --noise and --trace: sampling on given noise and masks, and every step of it on record, to compare with PyTorch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/sampling/sampler.h"
#include "tensor/tensor.h"

namespace echodiff {

// FILE holds x_T (N, 1, H, W), noise (at least K, N, 1, H, W) and cond (N, P, H, W).
struct GivenNoise {
  Tensor x_T, noise;
  std::vector<Tensor> conditions;  // N of (1, P, H, W)
  int64_t count() const { return x_T.dim(0); }
  NoiseSource source() const;  // row i of `noise` for step i
};

// Throws Error: kMissingInput, kBadInput naming the key and the shape found. `steps` is K.
GivenNoise read_given_noise(const std::string& path, int64_t steps);

// Keeps x (K+1, N, 1, H, W), eps and x_start (K, N, 1, H, W) of every step of N trajectories.
class Trace {
 public:
  Trace(const SamplingPlan& plan, int64_t count, int64_t height, int64_t width, const NoiseSource& noise);
  void keep(int64_t index, int64_t step, const SampleState& state);
  void write(const std::string& path) const;

 private:
  Tensor times_, x_, eps_, x_start_;
  int64_t count_, pixels_;
};

}  // namespace echodiff
