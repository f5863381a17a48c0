#include "train/folder/fit.h"

#include <algorithm>

#include "kernels/error.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

GrayImage cut(const GrayImage& image, const Placement& place) {
  if (place.width == image.width && place.height == image.height) return image;
  GrayImage part{place.width, place.height, std::vector<uint8_t>(size_t(place.width * place.height))};
  for (int64_t y = 0; y < place.height; ++y)
    std::copy_n(&image.pixels[size_t((place.top + y) * image.width + place.left)], place.width, &part.at(y, 0));
  return part;
}

GrayImage put(const GrayImage& content, const Placement& place, int64_t size) {
  if (content.width == size && content.height == size) return content;
  GrayImage square{size, size, std::vector<uint8_t>(size_t(size * size))};
  for (int64_t y = 0; y < content.height; ++y)
    std::copy_n(&content.pixels[size_t(y * content.width)], content.width, &square.at(place.to_top + y, place.to_left));
  return square;
}

}  // namespace

const char* name_of(Fit fit) { return fit == Fit::squash ? "squash" : fit == Fit::pad ? "pad" : "crop"; }

Fit parse_fit(const std::string& name) {
  for (const Fit fit : {Fit::squash, Fit::pad, Fit::crop})
    if (name == name_of(fit)) return fit;
  throw Error(Fault::kUsage, "fit " + name + ": expected squash, pad or crop");
}

Placement placement_of(int64_t width, int64_t height, int64_t size, Fit fit) {
  check(width > 0 && height > 0 && size > 0, "fit: from ", width, "x", height, " to ", size,
        ", expected positive sizes");
  Placement place{0, 0, width, height, 0, 0, size, size};
  const int64_t longest = std::max(width, height), shortest = std::min(width, height);
  if (fit == Fit::pad) {
    const auto scaled = [&](int64_t side) { return std::max<int64_t>(1, (2 * size * side + longest) / (2 * longest)); };
    place.to_width = scaled(width);
    place.to_height = scaled(height);
    place.to_left = (size - place.to_width) / 2;
    place.to_top = (size - place.to_height) / 2;
  } else if (fit == Fit::crop) {
    place.width = place.height = shortest;
    place.left = (width - shortest) / 2;
    place.top = (height - shortest) / 2;
  }
  return place;
}

GrayImage fit_area(const GrayImage& image, int64_t size, Fit fit) {
  const Placement place = placement_of(image.width, image.height, size, fit);
  return put(resize_area(cut(image, place), place.to_width, place.to_height), place, size);
}

GrayImage fit_nearest(const GrayImage& image, int64_t size, Fit fit) {
  const Placement place = placement_of(image.width, image.height, size, fit);
  return put(resize_nearest(cut(image, place), place.to_width, place.to_height), place, size);
}

GrayImage fit_sector(const GrayImage& sector, int64_t width, int64_t height, int64_t size, Fit fit) {
  const Placement place = placement_of(width, height, size, fit);
  if (place.width == width && place.height == height)
    return put(resize_nearest(sector, place.to_width, place.to_height), place, size);
  return fit_nearest(resize_nearest(sector, width, height), size, fit);
}

GrayImage shown_part(int64_t width, int64_t height, int64_t size, Fit fit) {
  const Placement place = placement_of(width, height, size, fit);
  return put({place.to_width, place.to_height, std::vector<uint8_t>(size_t(place.to_width * place.to_height), 1)},
             place, size);
}

}  // namespace echodiff
