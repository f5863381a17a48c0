// Letters burned into tissue: found, not removed.
#pragma once

#include <vector>

#include "tensor/io/gray_image.h"

namespace echodiff {

// Whether `mask` (255 inside) holds marks like a line of text in these frames of one clip: at least three pieces of one
// bright grey, as high as letters and in a row, that vary in no frame.
bool looks_written(const std::vector<GrayImage>& frames, const GrayImage& mask);

}  // namespace echodiff
