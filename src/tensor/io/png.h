// PNG pictures: reading behind a guard that accepts only undamaged files, and writing 8-bit grey.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/gray_image.h"

namespace echodiff {

// What the bytes of a PNG file hold: grey, or colour with equal channels, or a palette; 1 to 8 bits (greys of fewer are
// spread over 0..255) or 16, interlaced or not; up to 16384 a side and 2^26 pixels. Memory stays bounded whatever the
// bytes claim. Throws Error kBadInput, in the name of `name`, for any other picture and for damage in any bit
// (signature, header, chunk lengths and order, CRC-32 of every chunk, length and Adler-32 of the picture data).
DecodedPicture decode_png_values(std::string_view bytes, const std::string& name);

// The same as an opaque grey picture; 16 bits fill the whole window.
GrayImage decode_png(std::string_view bytes, const std::string& name);

// The picture in the file at `path`. Throws Error kMissingInput when there is no such file, else as decode_png.
GrayImage read_png(const std::string& path);

// The bytes of a PNG file holding `image`.
std::string encode_png(const GrayImage& image);

// Writes `image` to PATH whole or not at all (temporary file, then rename). Throws Error kCannotCreate or kIo.
void write_png(const std::string& path, const GrayImage& image);

}  // namespace echodiff
