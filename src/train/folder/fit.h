// How a picture of any shape becomes a square one: stretched, padded with black, or cut.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/io/gray_image.h"

namespace echodiff {

// squash: stretched to the square. pad: as large as fits in the middle of it, black around. crop: the largest square in
// its middle. A square picture is the same by all three.
enum class Fit { squash, pad, crop };

const char* name_of(Fit fit);
Fit parse_fit(const std::string& name);  // throws Error(kUsage)

// The picture at size x size pixels, resized by area; a mask, by nearest. 0 outside of it.
GrayImage fit_area(const GrayImage& image, int64_t size, Fit fit);
GrayImage fit_nearest(const GrayImage& image, int64_t size, Fit fit);

// A sector that serves pictures of any shape, as part of one of width x height pixels.
GrayImage fit_sector(const GrayImage& sector, int64_t width, int64_t height, int64_t size, Fit fit);

// Which pixels of the square show the picture: 1, else 0.
GrayImage shown_part(int64_t width, int64_t height, int64_t size, Fit fit);

// Where a picture lies in the square: pixels (left, top) .. of `width` x `height` of it fill those of the square.
struct Placement {
  int64_t left, top, width, height;              // in the picture
  int64_t to_left, to_top, to_width, to_height;  // in the square
};
Placement placement_of(int64_t width, int64_t height, int64_t size, Fit fit);

}  // namespace echodiff
