// 8-bit grey PNG pictures: reading behind a guard that accepts only undamaged files, and writing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace echodiff {

// A grey picture, row-major, 0..255.
struct GrayImage {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;  // (height, width)

  uint8_t& at(int64_t row, int64_t column) { return pixels[size_t(row * width + column)]; }
  uint8_t at(int64_t row, int64_t column) const { return pixels[size_t(row * width + column)]; }
};

// The picture in the bytes of a PNG file: grey, or colour with equal channels, or a palette of greys; 1 to 8 bits
// (fewer are spread over 0..255), interlaced or not, opaque; up to 16384 a side and 2^26 pixels. Memory stays bounded
// whatever the bytes claim. Throws Error kBadInput, in the name of `name`, for any other picture and for damage in any
// bit (signature, header, chunk lengths and order, CRC-32 of every chunk, length and Adler-32 of the picture data).
GrayImage decode_png(std::string_view bytes, const std::string& name);

// The picture in the file at `path`. Throws Error kMissingInput when there is no such file, else as decode_png.
GrayImage read_png(const std::string& path);

// The bytes of a PNG file holding `image`.
std::string encode_png(const GrayImage& image);

// Writes `image` to PATH whole or not at all (temporary file, then rename). Throws Error kCannotCreate or kIo.
void write_png(const std::string& path, const GrayImage& image);

}  // namespace echodiff
