#include "tensor/io/gray_image.h"

#include <algorithm>

#include "kernels/error.h"

namespace echodiff {
namespace {

bool is_grey(const Colour& colour) { return colour[0] == colour[1] && colour[1] == colour[2]; }

void require_opaque(const DecodedPicture& decoded, const std::string& name) {
  if (!decoded.transparent) return;
  const int64_t pixel = *decoded.transparent;
  throw Error(Fault::kBadInput,
              concat_message(name, ": transparent pixels (first at ", pixel % decoded.width, ", ",
                             pixel / decoded.width, "), expected opaque grey; remove its alpha channel"));
}

// The greys of a palette's entries; of a coloured one nothing that counts.
std::vector<uint16_t> greys_of(const DecodedPicture& decoded) {
  if (decoded.palette.empty()) return decoded.values;
  std::vector<uint16_t> greys;
  for (const uint16_t value : decoded.values) greys.push_back(decoded.palette[value][0]);
  return greys;
}

// Two entries of one grey would make one class of two.
void require_distinct_greys(const DecodedPicture& decoded, const std::string& name) {
  std::array<int, 256> entry_of;
  entry_of.fill(-1);
  for (const uint16_t value : decoded.values) {
    int& entry = entry_of[decoded.palette[value][0]];
    check_input(entry < 0 || entry == value, Fault::kBadInput, name, ": entries ", entry, " and ", value,
                " of its palette have the same grey, ", int(decoded.palette[value][0]),
                "; save the mask as 8-bit grey with its class indices");
    entry = value;
  }
}

}  // namespace

bool has_colours(const std::vector<Colour>& palette) { return !std::all_of(palette.begin(), palette.end(), is_grey); }

GrayImage as_grey(const DecodedPicture& decoded, const Window& window, const std::string& name) {
  for (size_t i = 0; i < decoded.values.size() && !decoded.palette.empty(); ++i)
    check_input(is_grey(decoded.palette[decoded.values[i]]), Fault::kBadInput, name, ": a coloured picture (pixel ",
                int64_t(i) % decoded.width, ", ", int64_t(i) / decoded.width,
                "), expected grey; convert it to 8-bit grey (a mask: to its class indices)");
  require_opaque(decoded, name);
  GrayImage image{decoded.width, decoded.height, {}};
  image.pixels.reserve(decoded.values.size());
  const int64_t range = window.high - window.low;
  for (const uint16_t value : greys_of(decoded)) {
    const int64_t above = std::clamp<int64_t>(value - window.low, 0, range);
    image.pixels.push_back(uint8_t(decoded.bits == 16 ? (above * 510 + range) / (2 * range) : value));
  }
  return image;
}

GrayImage as_classes(const DecodedPicture& decoded, const std::string& name) {
  const bool numbered = has_colours(decoded.palette);
  if (!numbered) require_opaque(decoded, name);
  if (!numbered && !decoded.palette.empty()) require_distinct_greys(decoded, name);
  GrayImage classes{decoded.width, decoded.height, {}};
  classes.pixels.reserve(decoded.values.size());
  for (const uint16_t value : numbered ? decoded.values : greys_of(decoded)) {
    check_input(value <= 255, Fault::kBadInput, name, ": class ", value, ", expected 0 to 255");
    classes.pixels.push_back(uint8_t(value));
  }
  return classes;
}

}  // namespace echodiff
