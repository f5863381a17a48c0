// Speckle by its statistics inside the sector (Wagner et al. 1983, doi:10.1109/T-SU.1983.31404): how much it varies,
// how large its grains are, and the mean grey that it stands on.
#pragma once

#include <limits>

#include "tensor/io/gray_image.h"

namespace echodiff {

// NaN: not defined for this picture.
struct Speckle {
  double mean_grey = std::numeric_limits<double>::quiet_NaN();  // 0..255
  // Mean over standard deviation of the greys in 7x7 windows that lie in the sector: the median over the windows with
  // any deviation. Of the greys as they are shown, so fully developed speckle hasn't 1.91 here: it is compressed.
  double signal_to_noise = std::numeric_limits<double>::quiet_NaN();
  // Pixels until the normalised autocorrelation falls to one half, across and down the picture, linear between whole
  // pixels: of the greys less their mean in 15x15 windows (anatomy), over pairs of pixels in the sector. 1.67 s for
  // white noise under a Gaussian of s pixels, about .5 for white noise.
  double lateral_width = std::numeric_limits<double>::quiet_NaN();
  double axial_width = std::numeric_limits<double>::quiet_NaN();
};

// `sector`: 0 outside. Throws Error(kInternal) when the sizes differ.
Speckle speckle_of(const GrayImage& image, const GrayImage& sector);

}  // namespace echodiff
