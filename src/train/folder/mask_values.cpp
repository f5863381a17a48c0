#include "train/folder/mask_values.h"

#include <algorithm>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr size_t kMostGuessed = 32;  // a mask with more values is a picture, not class indices
constexpr int kLargestIndex = 32;    // beside other values; alone any value may stand for the one class
constexpr int64_t kFewPixels = 4;    // of a class that other sizes might lose
constexpr int64_t kLargestSize = 1024;

std::array<int64_t, 256> counts_of(const GrayImage& mask) {
  std::array<int64_t, 256> counts = {};
  for (const uint8_t value : mask.pixels) ++counts[value];
  return counts;
}

std::string known_values(const std::vector<Plane>& planes) {
  std::string known = "0";
  for (const Plane& plane : planes) known += ", " + std::to_string(plane.value) + " (" + plane.name + ")";
  return known;
}

std::string cause_of(const std::vector<int>& values) {
  if (values == std::vector<int>{1, 255})
    return "one class written in two ways, as 0 and 1 (or 1 bit) and as 0 and 255";
  const bool near_the_ends =
      std::all_of(values.begin(), values.end(), [](int value) { return value <= 8 || value >= 247; });
  if (near_the_ends) return "masks that went through JPEG, or 0 and 1 beside 0 and 255";
  return "smooth edges: masks that were drawn with anti-aliasing or resized with interpolation";
}

}  // namespace

void MaskValues::take(const DecodedPicture& decoded, const GrayImage& mask, const GrayImage& fitted,
                      const std::string& path, const std::optional<std::vector<Plane>>& planes) {
  const std::array<int64_t, 256> counts = counts_of(mask), left = counts_of(fitted);
  const bool coloured = has_colours(decoded.palette);
  for (int value = 0; value < 256; ++value) {
    if (counts[size_t(value)] == 0) continue;
    Class& one = classes_[size_t(value)];
    if (coloured) {
      const Colour& colour = decoded.palette[size_t(value)];
      check_input(!one.colour || *one.colour == colour, Fault::kBadInput, path, ": entry ", value,
                  " of its palette has another colour than in ", one.file,
                  ", so it can't be the same class; save the masks with one palette, or as grey class indices");
      if (!one.colour) one.file = path;
      one.colour = colour;
    }
    if (value == 0) continue;
    ++one.masks;
    if (planes)
      check_input(std::any_of(planes->begin(), planes->end(), [&](const Plane& p) { return p.value == value; }),
                  Fault::kBadInput, path, ": unknown mask value ", value, ", known are ", known_values(*planes),
                  "; name it in dataset.json or among the planes given");
    if (left[size_t(value)] > kFewPixels) continue;
    Faint faint{mask.width, mask.height, left[size_t(value)] == 0, {}};
    const Placement place = placement_of(mask.width, mask.height, size_, fit_);
    for (int64_t y = place.top; y < place.top + place.height; ++y)
      for (int64_t x = place.left; x < place.left + place.width; ++x)
        if (mask.at(y, x) == value) faint.pixels.emplace_back(y, x);
    one.faint.push_back(std::move(faint));
  }
}

std::vector<Plane> MaskValues::guessed_planes(const std::string& directory) const {
  std::vector<Plane> planes;
  std::vector<int> values;
  for (int value = 1; value < 256; ++value) {
    if (classes_[size_t(value)].masks == 0) continue;
    planes.push_back({"class_" + std::to_string(value), value});
    values.push_back(value);
  }
  const bool indices = values.size() <= 1 || (values.size() <= kMostGuessed && values.back() <= kLargestIndex);
  if (indices) return planes;
  std::vector<int> shown(values.begin(), values.begin() + std::ptrdiff_t(std::min<size_t>(values.size(), 8)));
  throw Error(
      Fault::kBadInput,
      concat_message((std::filesystem::path(directory) / "masks").string(), ": ", values.size(), " different values (",
                     join(shown, ", "), values.size() > shown.size() ? ", ..." : "",
                     "), expected class indices, or one value for the one class; the likely cause is ",
                     cause_of(values), "; save them anew as PNG with class indices, or, where each is a class, ",
                     "name them in dataset.json or as planes (NAME=VALUE,NAME=VALUE)"));
}

bool MaskValues::survives(const Faint& faint, int64_t size) const {
  const Placement place = placement_of(faint.width, faint.height, size, fit_);
  // The rows and columns that resize_nearest looks at.
  std::vector<bool> rows(size_t(faint.height)), columns(size_t(faint.width));
  for (int64_t r = 0; r < place.to_height; ++r)
    rows[size_t(place.top + (2 * r + 1) * place.height / (2 * place.to_height))] = true;
  for (int64_t c = 0; c < place.to_width; ++c)
    columns[size_t(place.left + (2 * c + 1) * place.width / (2 * place.to_width))] = true;
  return std::any_of(faint.pixels.begin(), faint.pixels.end(),
                     [&](const auto& pixel) { return rows[size_t(pixel.first)] && columns[size_t(pixel.second)]; });
}

// 0: none up to the largest.
int64_t MaskValues::smallest_size(const std::vector<Faint>& faint) const {
  int64_t size = size_ + 1;
  if (std::any_of(faint.begin(), faint.end(), [](const Faint& one) { return one.pixels.empty(); })) return 0;
  for (bool all_survive = false; !all_survive && size <= kLargestSize;) {
    all_survive = true;
    for (const Faint& one : faint)
      for (; size <= kLargestSize && !survives(one, size); ++size) all_survive = false;
  }
  return size <= kLargestSize ? size : 0;
}

std::vector<std::string> MaskValues::warnings(const std::vector<Plane>& planes) const {
  std::vector<std::string> lines;
  for (const Plane& plane : planes) {
    const Class& one = classes_[size_t(plane.value)];
    const int64_t lost = std::count_if(one.faint.begin(), one.faint.end(), [](const Faint& f) { return f.lost; });
    if (lost == 0) continue;
    const int64_t size = smallest_size(one.faint);
    const std::string remedy = size > 0 ? concat_message("the smallest image size that keeps it is ", size)
                                        : "no image size keeps it: the fit cuts it off";
    lines.push_back(concat_message("warning: plane ", plane.name, " is empty at ", size_, " pixels in ", lost,
                                   " of the ", one.masks, " pictures that show it; ", remedy));
  }
  return lines;
}

}  // namespace echodiff
