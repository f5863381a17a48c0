// The ceiling over every judge: how well can the label of the finished picture be known after some calls, by one who
// knows the state and the network, but not the noise to come? The rest of the noise is drawn anew, `branches` times
// from each state; the ideal judge's score of a state is its share of good endings.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/samplers/noise.h"

namespace echodiff {

// Trajectory i * branches + b begins as trajectory i of `own`, x_T and the noise of its first `calls` steps, and goes
// on with noise of (seed, its own number).
NoiseSource branched_noise(const NoiseSource& own, uint64_t seed, int64_t branches, int64_t calls);

// The ideal judge's AUROC over pairs of endings of different states, ties half; `good[i]` of `branches` endings of
// state i are good. NaN for no pair.
struct CeilingAuroc {
  double upper = 0;  // the score of an ending counts that ending too: with few branches it flatters
  double lower = 0;  // the score is of the other branches alone: a judge that knows only so many
};
CeilingAuroc ceiling_auroc(const std::vector<int64_t>& good, int64_t branches);

}  // namespace echodiff
