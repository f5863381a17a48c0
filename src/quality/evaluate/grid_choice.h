// Which grid a sampler of few steps takes, chosen by its unfiltered samples beside held-out real pictures, never by a
// judge: the judge would choose what it likes, not what is real.
#pragma once

#include <cstdint>
#include <vector>

#include "quality/statistics/estimates.h"

namespace echodiff {

// A grid, and what samples on it are worth.
struct MeasuredGrid {
  double start = 0, end = 0;  // as shares of T
  std::vector<int64_t> times;
  int64_t mean_start = 0;          // draws of a mask's mean start (quality/sampling/mean_start.h), 0: none
  double calls = 0;                // network calls a picture, with its share of the mean start's
  Estimate kid;                    // of the features, against the real pictures
  Estimate kid_minus_best;         // less that of best_grid: both see the same real pictures, so this is the narrower
  Proportion coverage;             // of the real pictures
  double grey = 0, real_grey = 0;  // mean of the samples and of real pictures of their masks, 0..255
  double grey_by_chance = 0;       // how far these may be apart where nothing is wrong
};

// The number of the grid of least KID among those whose mean grey is within 2 levels of the real pictures', or within
// chance; among all where none is. At least one grid.
size_t best_grid(const std::vector<MeasuredGrid>& grids);

// That of fewest calls among those that are not shown to be worse than the best:
//   the interval of kid_minus_best reaches 0;
//   their coverage is not lower by more than 1.96 errors of the difference;
//   their mean grey passes as the best's did.
// Of equally many calls the least KID.
size_t choose_grid(const std::vector<MeasuredGrid>& grids);

bool is_grey_enough(const MeasuredGrid& grid);

}  // namespace echodiff
