// Fewer steps than the network was trained with: which of the T time steps a sampler visits.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/schedule.h"

namespace echodiff {

// All grids ascend in position and descend in time: element 0 is visited first.

// K of T evenly spaced steps, both ends included, as improved-diffusion's space_timesteps (Nichol & Dhariwal 2021);
// K = 1 is {T-1}. Throws Error(kUsage) unless 1 <= K <= T.
std::vector<int64_t> ddpm_times(int64_t T, int64_t K);

// K + 1 values trunc(linspace(-1, last, K + 1)) from the top, ending in -1 (denoising-diffusion-pytorch; float32
// linspace as torch computes it). last = T - 1 for a whole trajectory. Throws Error(kUsage) unless 1 <= K <= last + 1.
std::vector<int64_t> ddim_times(int64_t last, int64_t K);

// K steps: the first K of round(linspace(0, T - 1, K + 1)) from the top (diffusers' "linspace" spacing). Throws
// Error(kUsage) unless 1 <= K <= T - 1.
std::vector<int64_t> dpmpp_times(int64_t T, int64_t K);

// The schedule that visits only `times` (descending) and has the same alpha_bar there: beta' = 1 - alpha_bar_t /
// alpha_bar_{t'}, t' the next smaller. Its index 0 is the smallest time. All T times give `schedule` itself.
Schedule respace(const Schedule& schedule, const std::vector<int64_t>& times);

}  // namespace echodiff
