// Rules that rank trajectories of one mask against each other and keep the best share of those that are left:
//
//   best-of-n  n trajectories are finished, the best stays
//   halving    n begin; at each rung the top 1 / eta of those left goes on (successive halving,
//              Jamieson & Talwalkar 2016, arXiv:1502.07943)
//   screen     one rung before the first call: x_T and the mask are all there is to score
//   probe      one rung after call k
#pragma once

#include <cstdint>
#include <vector>

#include "quality/sampling/policy/policy.h"

namespace echodiff {

struct HalvingOptions {
  int64_t group = 8;                          // n
  double keep = 0.5;                          // 1 / eta: the share that goes on at each rung, rounded up
  std::vector<double> rungs{0.1, 0.25, 0.5};  // after these shares of the calls
};

// Throw Error(kUsage) for constants out of range.
Policy best_of_policy(int64_t group);
Policy halving_policy(const HalvingOptions& options);
Policy screen_policy(int64_t group, double keep);
Policy probe_policy(int64_t group, double keep, int64_t call);

}  // namespace echodiff
