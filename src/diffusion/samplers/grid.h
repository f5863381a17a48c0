// Where a sampler of few steps stops over. At five steps the grid is worth more than the order: even in t the last step
// begins where x0_hat is a blur (docs/design/sampling.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/schedule.h"

namespace echodiff {

enum class GridKind {
  even,    // in t
  logsnr,  // in log(alpha / sigma)                     Lu et al. 2022 (arXiv:2206.00927)
  rho,     // in (sigma / alpha)^(1/7)                  Karras et al. 2022 (arXiv:2206.00364), equation (5)
  given,   // Grid::times
};

struct Grid {
  GridKind kind = GridKind::even;
  // First and last time as shares of T; of logsnr and rho .95 and .04 where unset.
  std::optional<double> start = {}, end = {};
  std::vector<int64_t> times = {};  // descending; of GridKind::given
  bool operator==(const Grid&) const = default;
};

// "even", "logsnr" or "rho"; throws Error(kUsage) naming the choices.
GridKind parse_grid_kind(const std::string& name);

// The K times to visit, descending, in [0, T). Throws Error(kUsage) where K distinct times don't fit between start and
// end, these are no shares of T in order, or given times are not K, or leave the T steps.
std::vector<int64_t> grid_times(const Schedule& schedule, const Grid& grid, int64_t K);

}  // namespace echodiff
