// The loss on pictures held out from training, by how noisy they are.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/diffusion.h"
#include "nn/denoiser.h"
#include "train/data/loader.h"

namespace echodiff {

constexpr int64_t kValidationBins = 10;

struct Validation {
  double loss = 0;           // mean over the bins, unweighted
  std::vector<double> bins;  // bin b: t in [b T / 10, (b + 1) T / 10)
};

// Each of the first `count` pictures of `held_out` (all when it has fewer) at one t in each bin, with noise and t drawn
// by (seed, picture, bin): the same in every call, so that values of one run compare.
Validation validate(Denoiser& network, const Schedule& schedule, Prediction prediction, const Loader& held_out,
                    uint64_t seed, int64_t count);

}  // namespace echodiff
