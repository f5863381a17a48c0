// Pictures of any shape as squares: stretched, padded, cut.
#include "train/folder/fit.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

GrayImage ramp(int64_t width, int64_t height) {
  GrayImage image{width, height, {}};
  for (int64_t i = 0; i < width * height; ++i) image.pixels.push_back(uint8_t(i % 251 + 1));
  return image;
}

TEST(Fit, ASquarePictureIsTheSameByAll) {
  const GrayImage image = ramp(40, 40);
  for (const Fit fit : {Fit::squash, Fit::pad, Fit::crop}) {
    EXPECT_EQ(parse_fit(name_of(fit)), fit);
    EXPECT_EQ(fit_area(image, 16, fit).pixels, resize_area(image, 16, 16).pixels);
    EXPECT_EQ(fit_nearest(image, 16, fit).pixels, resize_nearest(image, 16, 16).pixels);
    EXPECT_EQ(fit_sector(ramp(9, 7), 40, 40, 16, fit).pixels, resize_nearest(ramp(9, 7), 16, 16).pixels);
    EXPECT_EQ(shown_part(40, 40, 4, fit).pixels, std::vector<uint8_t>(16, 1));
  }
  EXPECT_THROW(parse_fit("stretch"), Error);
}

TEST(Fit, PadKeepsTheShapeAndIsBlackAround) {
  const GrayImage image = ramp(40, 20), padded = fit_area(image, 16, Fit::pad), small = resize_area(image, 16, 8);
  const GrayImage shown = shown_part(40, 20, 16, Fit::pad);
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 16; ++x) {
      const bool inside = y >= 4 && y < 12;
      EXPECT_EQ(padded.at(y, x), inside ? small.at(y - 4, x) : 0);
      EXPECT_EQ(shown.at(y, x), inside ? 1 : 0);
    }
  EXPECT_EQ(fit_sector({1, 1, {1}}, 40, 20, 16, Fit::pad).pixels, shown.pixels);
  EXPECT_EQ(fit_area(ramp(1000, 1), 16, Fit::pad).pixels.size(), 256u);  // a line stays a line
}

TEST(Fit, CropTakesTheMiddleAndSquashAll) {
  const GrayImage image = ramp(20, 10);
  GrayImage middle{10, 10, {}};
  for (int64_t y = 0; y < 10; ++y)
    for (int64_t x = 5; x < 15; ++x) middle.pixels.push_back(image.at(y, x));
  EXPECT_EQ(fit_area(image, 8, Fit::crop).pixels, resize_area(middle, 8, 8).pixels);
  EXPECT_EQ(fit_nearest(image, 8, Fit::crop).pixels, resize_nearest(middle, 8, 8).pixels);
  EXPECT_EQ(fit_area(image, 8, Fit::squash).pixels, resize_area(image, 8, 8).pixels);
}

}  // namespace
}  // namespace echodiff
