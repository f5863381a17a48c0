// One attack more (attacks.h): a real picture noised to the middle of the schedule, and what the network takes for the
// finished one there, after a single call. It has the anatomy of its mask and little speckle: what an early accept on
// x0_hat would keep.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/schedule.h"
#include "quality/sampling/sampler.h"
#include "train/data/dataset.h"

namespace echodiff {

// x0_hat of each source at t = T/2 - 1 (0-based), clamped, as 8 bits; source i's noise is default_noise(seed)'s x_T of
// trajectory i. Throws Error: as run_sampler.
std::vector<GrayImage> predicted_attack(const Network& network, const Schedule& schedule, Prediction prediction,
                                        const std::vector<const Example*>& sources, uint64_t seed);

}  // namespace echodiff
