// A picture file of any kind that is read here: PNG, JPEG or TIFF, told by its first bytes.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/gray_image.h"

namespace echodiff {

enum class PictureKind { kNone, kPng, kJpeg, kTiff };
PictureKind kind_of_picture(std::string_view bytes);

// Throws Error kBadInput, in the name of `name`, for another kind of file, and as decode_png_values, decode_jpeg and
// decode_tiff do.
DecodedPicture decode_picture(std::string_view bytes, const std::string& name);

// Does a file of this name hold a picture that is read here? By its ending: .png, .jpg, .jpeg, .tif, .tiff.
bool is_picture_name(const std::string& name);

}  // namespace echodiff
