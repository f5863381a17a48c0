// AdaDiff (Tang et al. 2023, arXiv:2309.17074) for a U-Net: which calls may leave the network early? A shallow call
// (nn/denoiser.h) leaves it after the outermost level, with deep features of an earlier call. An uncertainty head for
// each step says how far its answer is expected to be off, from how far the network's input has moved since those
// features were computed: log error = offset + slope log moved, both root mean squares over pixels. Where little is
// expected, the call is shallow. The heads are fitted on whole trajectories (exits_fit.h) and kept in a file:
//
//   {"kind": "exits", "steps": 10, "mean_start": 0, "trajectories": 64,
//    "heads": [{"step": 1, "offset": -1.5, "slope": 0.9, "residual": 0.1}, ...]}
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

struct ExitHead {
  double offset = 0, slope = 1;
  double residual = 0;  // root mean square of log error's, on the trajectories it was fitted on
};

struct ExitRule {
  int64_t steps = 0, mean_start = 0;  // of the sampler
  int64_t trajectories = 0;           // fitted on
  std::vector<ExitHead> heads;        // of steps 1 to steps - 1: the first call is always whole

  double expected_error(int64_t step, double moved) const;
};

// Strict: Error kMissingInput, kBadInput.
ExitRule read_exit_rule(const std::string& path);
void write_exit_rule(const std::string& path, const ExitRule& rule);

// Root mean square of the difference of row i of two tensors (n, ...) on the CPU, at least 1e-6.
double moved_by(const Tensor& a, const Tensor& b, int64_t row);

}  // namespace echodiff
