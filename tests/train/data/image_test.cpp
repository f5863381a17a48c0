// Resizing: hand-computed averages, fractional coverage, and that nearest invents no value.
#include "train/data/image.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {
namespace {

TEST(ResizeArea, AveragesWhatEachPixelCovers) {
  const GrayImage image{4, 2, {0, 10, 20, 30, 100, 110, 120, 130}};
  EXPECT_EQ(resize_area(image, 2, 1).pixels, (std::vector<uint8_t>{55, 75}));
  EXPECT_EQ(resize_area(image, 4, 2).pixels, image.pixels);
  const GrayImage three{3, 1, {0, 90, 30}};  // 1.5 source pixels each: (0 + 45) / 1.5, (45 + 30) / 1.5
  EXPECT_EQ(resize_area(three, 2, 1).pixels, (std::vector<uint8_t>{30, 50}));
  const GrayImage two{2, 1, {0, 90}};  // enlarged: the middle pixel covers half of each
  EXPECT_EQ(resize_area(two, 3, 1).pixels, (std::vector<uint8_t>{0, 45, 90}));
}

TEST(ResizeArea, KeepsConstantsAndTheMean) {
  for (const int64_t size : {16, 31, 64, 100}) {
    const GrayImage white{97, 61, std::vector<uint8_t>(97 * 61, 255)};
    for (const uint8_t pixel : resize_area(white, size, size).pixels) ASSERT_EQ(pixel, 255);
  }
  GrayImage noise{90, 70, std::vector<uint8_t>(90 * 70)};
  Random random(1);
  for (uint8_t& pixel : noise.pixels) pixel = uint8_t(random.below(256));
  const GrayImage small = resize_area(noise, 32, 32);
  const auto mean = [](const GrayImage& image) {
    return std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / double(image.pixels.size());
  };
  EXPECT_NEAR(mean(small), mean(noise), 0.1);
}

TEST(ResizeNearest, TakesTheValueAtEachCentre) {
  const GrayImage image{4, 1, {1, 2, 3, 4}};
  EXPECT_EQ(resize_nearest(image, 2, 1).pixels, (std::vector<uint8_t>{2, 4}));
  EXPECT_EQ(resize_nearest(image, 8, 1).pixels, (std::vector<uint8_t>{1, 1, 2, 2, 3, 3, 4, 4}));
  EXPECT_EQ(resize_nearest(image, 4, 1).pixels, image.pixels);
  GrayImage mask{53, 47, std::vector<uint8_t>(53 * 47)};
  Random random(2);
  for (uint8_t& pixel : mask.pixels) pixel = random.below(2) == 0 ? 0 : 7;
  const GrayImage resized = resize_nearest(mask, 64, 20);
  EXPECT_EQ(std::set<uint8_t>(resized.pixels.begin(), resized.pixels.end()), (std::set<uint8_t>{0, 7}));
}

TEST(Resize, RefusesEmptySizes) {
  EXPECT_THROW(resize_area({}, 4, 4), Error);
  EXPECT_THROW(resize_nearest({1, 1, {0}}, 0, 4), Error);
}

TEST(Gray, RoundsClampsAndComesBack) {
  const std::vector<float> x{-2, -1, 0, 1, 5, 0.5f};
  const GrayImage image = to_gray(x.data(), 2, 3);
  EXPECT_EQ(image.pixels, (std::vector<uint8_t>{0, 0, 128, 255, 255, 191}));
  std::vector<float> back(6);
  from_gray(image, back.data());
  EXPECT_EQ(to_gray(back.data(), 2, 3).pixels, image.pixels);
}

}  // namespace
}  // namespace echodiff
