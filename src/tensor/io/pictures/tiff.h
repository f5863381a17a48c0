// TIFF pictures, by libtiff.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/gray_image.h"

namespace echodiff {

// The one page of a TIFF file in strips: grey of 1, 8 or 16 bits (1 bit is spread to 0 and 255), colour with equal
// channels, or a palette of 8 bits; stored, or packed by PackBits, LZW or deflate; up to kLongestSide a side and
// kMostPixels. Throws Error kBadInput, in the name of `name`, for any other file and for damage.
DecodedPicture decode_tiff(std::string_view bytes, const std::string& name);

}  // namespace echodiff
