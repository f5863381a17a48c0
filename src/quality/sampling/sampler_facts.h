// What a sampler was: all that decides a trajectory beside its index, its mask and who judges it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace echodiff {

struct SamplerFacts {
  std::string sampler, schedule, prediction;
  int64_t sample_steps = 0, T = 0, size = 0;  // steps of its plan; time steps of training; pixels a side
  double log_snr_shift = 0;                   // of the schedule
  int64_t deepcache = 1;                      // SamplerJob::whole_every
  int64_t mean_start = 0;                     // SamplerJob::mean_start
  std::optional<double> adadiff_error;        // SamplerJob::exit_error, where there is a rule
  double eta = 0, guidance = 1;
  bool clip = true, ema = true;
  uint64_t seed = 0;
};

}  // namespace echodiff
