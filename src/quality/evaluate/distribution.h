// How far a set of samples is from a set of real pictures, by the features of both.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "quality/evaluate/rows.h"
#include "quality/judges/scorer.h"
#include "quality/statistics/estimates.h"

namespace echodiff {

// Features of our own domain: what a ResNet-18 hands to its last layer (ResNet18::features), one row a picture. Images
// of one size, resized by area to the network's where that is known and another. One channel sees [-1, 1], as
// dtrain scorer feeds it; three see the grey three times, scaled as torchvision's ImageNet weights expect
// ((x - mean) / deviation of [0, 1] by channel). A picture's features don't depend on the others. Throws
// Error(kBadInput) for a network of another number of channels.
Rows features_of(const ResNet18Run& run, const std::vector<GrayImage>& images);

// KID: the squared maximum mean discrepancy for the kernel (x.y / d + 1)^3, all pairs but those of a row with itself
// (Binkowski et al. 2018, arXiv:1801.01401): unbiased at any count, so 0 on average for equal distributions, and often
// below. The error is the jackknife's over both sets (Arvesen 1969); it is too wide, never too narrow, near 0.
// Throws Error(kBadInput) for fewer than 3 rows in either.
Measure kernel_distance(const Rows& samples, const Rows& real);

// kernel_distance(a, real) - kernel_distance(b, real). Both see the same real pictures, so the jackknife over these
// leaves one out of both, and what they share cancels: narrower than the two intervals suggest.
Measure kernel_difference(const Rows& a, const Rows& b, const Rows& real);

// FID: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)) of means and covariances (n - 1) (Heusel et al. 2017,
// arXiv:1706.08500). It shrinks as counts grow: compare at equal counts only. The error leaves out a tenth of either
// set at a time (grouped jackknife). Throws Error(kBadInput) for fewer than 3 rows in either.
Measure frechet_distance(const Rows& samples, const Rows& real);
// Its value alone.
double frechet_value(const Rows& samples, const Rows& real);

// Any statistic(samples, real) with the grouped jackknife's error: a tenth of either set is left out at a time, and all
// that the statistic makes of a set (its scale, say) is made anew.
using RowsStatistic = std::function<double(const Rows& samples, const Rows& real)>;
Measure grouped_jackknife(const Rows& samples, const Rows& real, const RowsStatistic& statistic);

// Precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991), density and coverage (Naeem et al. 2020,
// arXiv:2002.09797). A row's ball reaches to its k-th nearest neighbour in its own set; "in a ball" is nearer than
// that.
struct Neighbourhood {
  int64_t precise = 0;   // samples in the ball of a real row, of samples.count
  int64_t recalled = 0;  // real rows in the ball of a sample, of real.count
  int64_t covered = 0;   // real rows whose ball holds a sample, of real.count
  Measure density;       // real balls that a sample is in, over k: mean over samples, about 1 for equal distributions
};
// Throws Error(kBadInput) unless both have more than k rows.
Neighbourhood neighbourhood(const Rows& samples, const Rows& real, int64_t k);

}  // namespace echodiff
