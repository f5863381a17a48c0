// The paper's rule (sections 2.3 and 5.3; B4 on x_t, B5 on x0_hat): score while denoising; a score of tau or more halts
// and keeps, scores that stagnate drop. Not stated there, so constants here: the window, what stagnation is, when
// monitoring starts and how often it looks.
#pragma once

#include "quality/sampling/policy/policy.h"

namespace echodiff {

struct PaperOptions {
  double tau = 0.95;     // accept at this score
  int64_t window = 5;    // W, in scores
  double delta = 0.01;   // the best of the last W scores must beat the best before them by at least this
  double warm_up = 0.5;  // share of the steps before the first score, 0..1
  int64_t every = 1;     // steps from one score to the next
};

// Throws Error(kUsage) for constants out of range.
Policy paper_policy(const PaperOptions& options);

}  // namespace echodiff
