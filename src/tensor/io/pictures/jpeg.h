// JPEG pictures, by libjpeg.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/gray_image.h"

namespace echodiff {

// The luminance of a JPEG file of 8 bits: grey, or colour without any (every chroma within 2 of none); up to
// kLongestSide a side and kMostPixels in all channels. Throws Error kBadInput, in the name of `name`, for colours,
// CMYK, a picture that its Exif data turn or mirror, and for any damage that the library notices.
DecodedPicture decode_jpeg(std::string_view bytes, const std::string& name);

}  // namespace echodiff
