// A scan shows nothing outside of its sector.
#pragma once

#include "tensor/io/png.h"

namespace echodiff {

// The share of the picture's sum of squared grey levels that lies where `sector` is 0; 0 for a black picture. Throws
// Error(kInternal) when the sizes differ.
double outside_energy(const GrayImage& image, const GrayImage& sector);

}  // namespace echodiff
