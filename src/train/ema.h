// A moving average of a network's weights: with the rule of lucidrains' ema-pytorch, or a power-function profile's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tensor/io/safetensors.h"

namespace echodiff {

// After s counted updates the decay is clamp(1 - (1 + s / inv_gamma)^-power, min_value, beta), so that early weights
// are soon forgotten; s counts from update_after_step, up to which the average is a plain copy. Only every
// update_every-th step takes part. The defaults follow a short run: the window grows to `beta` as (1 + s)^(2/3) steps.
struct EmaOptions {
  double beta = 0.999;
  int64_t update_after_step = 0, update_every = 1;
  double inv_gamma = 1, power = 2.0 / 3, min_value = 0;
  // In place of all that: step s has a weight ~ s^gamma (power_ema.h), so the decay after s steps is
  // (1 - 1 / s)^(gamma + 1).
  std::optional<double> power_gamma{};
};

class Ema {
 public:
  // `online` and `averaged` are the same network's tensors twice: handles on the trained one and on the one that holds
  // the average, which starts as a copy. i64 tensors (counters) are copied at each update.
  Ema(std::vector<NamedTensor> online, std::vector<NamedTensor> averaged, const EmaOptions& options);

  void update();         // after each optimiser step
  double decay() const;  // what an update at the present count uses
  int64_t step() const { return step_; }
  // Goes on from a saved average and count. Throws Error(kBadInput) for a missing or misshapen tensor.
  void load(const SafetensorsFile& file, const std::string& prefix, int64_t step);
  const std::vector<NamedTensor>& averaged() const { return averaged_; }

 private:
  void copy();

  std::vector<NamedTensor> online_, averaged_;
  EmaOptions options_;
  int64_t step_ = 0;
};

}  // namespace echodiff
