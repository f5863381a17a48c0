// Letters burned into tissue: found, not removed.
#pragma once

#include "dimport/clip.h"

namespace echodiff {

// Whether `mask` (255 inside) holds marks like a line of text in a clip, of which `first` is the first frame: at least
// three pieces of one bright grey, as high as letters and in a row, that vary in no frame.
bool looks_written(const GrayImage& first, const Extremes& greys, const GrayImage& mask);

}  // namespace echodiff
