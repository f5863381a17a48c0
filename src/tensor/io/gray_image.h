// Grey pictures in memory, and what a picture file holds before it is known what it is for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace echodiff {

// A grey picture, row-major, 0..255.
struct GrayImage {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels;  // (height, width)

  uint8_t& at(int64_t row, int64_t column) { return pixels[size_t(row * width + column)]; }
  uint8_t at(int64_t row, int64_t column) const { return pixels[size_t(row * width + column)]; }
};

// No file may hold more.
constexpr int64_t kLongestSide = 16384, kMostPixels = int64_t(1) << 26;

// The greys of a 16-bit picture that become black and white: `low` and all below, `high` and all above.
struct Window {
  int64_t low = 0, high = 65535;
};

using Colour = std::array<uint8_t, 3>;  // red, green, blue

struct DecodedPicture {
  int64_t width = 0, height = 0;
  int bits = 8;                        // 8 or 16
  std::vector<uint16_t> values;        // (height, width): greys, or numbers of the palette's entries where there is one
  std::vector<Colour> palette;         // as long as the largest value needs
  std::optional<int64_t> transparent;  // the first pixel that isn't opaque
};

// The picture in 8-bit grey; only 16 bits need the window. Throws Error kBadInput, in the name of `name`, where a pixel
// is coloured or not opaque.
GrayImage as_grey(const DecodedPicture& decoded, const Window& window, const std::string& name);

// The class of each pixel: the number of the palette's entry where the palette has any colour, else the grey value as
// it is. Throws Error kBadInput for one above 255, and for transparent greys.
GrayImage as_classes(const DecodedPicture& decoded, const std::string& name);

// Whether as_classes goes by the palette's numbers.
bool has_colours(const std::vector<Colour>& palette);

}  // namespace echodiff
