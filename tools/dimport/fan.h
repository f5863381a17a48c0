// The sector of a clip, found from its pixels: a convex or phased probe's fan, or a linear probe's trapezoid.
#pragma once

#include <array>
#include <vector>

#include "dimport/clip.h"

namespace echodiff {

// Fan: an apex above, two sides as slopes (x over y from the apex), two arcs' radii. Trapezoid: top and bottom, where
// the left and the right side meet them. Pixels, y down.
struct Sector {
  bool fan = true;
  std::array<double, 6> shape{};  // fan: apex x, apex y, left slope, right slope, inner, outer radius
                                  // trapezoid: top, bottom, left at top, left at bottom, right at top, right at bottom
  double misfit = 0;              // pixels on the wrong side, over those inside

  bool holds(double x, double y) const;
};
GrayImage mask_of(const Sector& sector, int64_t width, int64_t height);  // 255 inside, 0 outside

// The largest piece of what is lit in any frame, but for what is bright and never varies in a moving clip: 0 dark,
// 1 faint (where a lossy compression could have lit it), 2 lit. Letters are no part of it.
GrayImage tissue_of(const Extremes& greys, bool lossy);

// The sector that fits `tissue` best, its sides alike unless others fit clearly better. A lit pixel outside counts nine
// times as much as a dark one inside.
// Throws Error(kBadInput) where none is near.
Sector fit_sector_shape(const GrayImage& tissue);

}  // namespace echodiff
