// Equations (1)-(3): cases computed by hand, borders, regions, and what white noise does to the Laplacian variance.
#include "quality/labels/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {
namespace {

GrayImage picture(int64_t width, int64_t height, std::vector<uint8_t> pixels) {
  return {width, height, std::move(pixels)};
}

TEST(Metrics, ConstantPictureIsZero) {
  const Metrics metrics = measure(picture(5, 4, std::vector<uint8_t>(20, 77)));
  EXPECT_EQ(metrics.sharpness, 0);
  EXPECT_EQ(metrics.contrast, 0);
  EXPECT_NEAR(metrics.noise, 0, 1e-12);
}

TEST(Metrics, SinglePointByHand) {
  // 3x3, 100 in the middle: reflected borders show the point twice to its four neighbours, so the Laplacian is
  // -400 in the middle, 2 * 100 at the four neighbours, 0 in the corners.
  const Metrics metrics = measure(picture(3, 3, {0, 0, 0, 0, 100, 0, 0, 0, 0}));
  const double mean = (-400 + 4 * 200.0) / 9, squares = (400 * 400 + 4 * 200.0 * 200) / 9;
  EXPECT_NEAR(metrics.sharpness, squares - mean * mean, 1e-9);
  EXPECT_NEAR(metrics.contrast, std::sqrt(100 * 100 / 9.0 - (100 / 9.0) * (100 / 9.0)), 1e-12);
  // sigma 0.5, radius 2: taps e^-8, e^-2, 1, e^-2, e^-8. On three pixels reflection folds them: the middle keeps the
  // centre tap and both outer ones (2 e^-8), its neighbours see it through both inner taps.
  const double sum = 1 + 2 * std::exp(-2.0) + 2 * std::exp(-8.0);
  const double centre = (1 + 2 * std::exp(-8.0)) / sum, side = 2 * std::exp(-2.0) / sum;
  const double middle = 100 - 100 * centre * centre;
  const double noise = (middle + 4 * 100 * centre * side + 4 * 100 * side * side) / 9;
  EXPECT_NEAR(metrics.noise, noise, 1e-9);
}

TEST(Metrics, ReflectsWithoutTheEdge) {
  // A ramp's second difference is 0 inside; at both ends reflection makes it +-2 steps.
  const Metrics metrics = measure(picture(4, 2, {0, 10, 20, 30, 0, 10, 20, 30}));
  EXPECT_NEAR(metrics.sharpness, (2 * 20.0 * 20 + 2 * 20.0 * 20) / 8, 1e-9);
}

TEST(Metrics, RadiusIsFourSigmaRounded) {
  // sigma 0.1: radius int(0.4 + 0.5) = 0, the Gaussian is the identity.
  EXPECT_EQ(measure(picture(3, 3, {0, 0, 0, 0, 100, 0, 0, 0, 0}), {.sigma = 0.1}).noise, 0);
}

TEST(Metrics, ScaleIsLinear) {
  const GrayImage image = picture(3, 3, {1, 2, 3, 50, 100, 20, 7, 80, 9});
  const Metrics bytes = measure(image), unit = measure(image, {.scale = 1});
  EXPECT_NEAR(unit.sharpness, bytes.sharpness / (255.0 * 255), 1e-9);
  EXPECT_NEAR(unit.contrast, bytes.contrast / 255, 1e-12);
  EXPECT_NEAR(unit.noise, bytes.noise / 255, 1e-12);
}

TEST(Metrics, RegionTakesStatisticsOfItsPixelsOnly) {
  const GrayImage image = picture(4, 1 + 1, {0, 255, 10, 20, 0, 255, 10, 20});
  const GrayImage region = picture(4, 2, {0, 0, 255, 255, 0, 0, 255, 255});
  const Metrics metrics = measure(image, {}, &region);
  EXPECT_NEAR(metrics.contrast, 5, 1e-12);
  // The filters see the 255 beside the region: Laplacian 255 - 20 + 20 = 255 at 10, 2 * 10 - 40 = -20 at 20.
  const double a = 255 + 20 - 20, b = 20 - 40;
  EXPECT_NEAR(metrics.sharpness, (a - b) * (a - b) / 4, 1e-9);
}

TEST(Metrics, WhiteNoiseAddsTwentyVariances) {
  constexpr int64_t kSide = 256;
  for (const double deviation : {2.0, 5.0, 12.0}) {
    Random random(1, uint64_t(deviation));
    GrayImage image{kSide, kSide, std::vector<uint8_t>(kSide * kSide)};
    for (uint8_t& pixel : image.pixels) pixel = uint8_t(std::lround(128 + deviation * random.normal()));
    const double variance = deviation * deviation + 1.0 / 12;  // rounding adds its own
    const Metrics metrics = measure(image);
    EXPECT_NEAR(metrics.sharpness / (20 * variance), 1, 0.03);
    EXPECT_NEAR(metrics.contrast / std::sqrt(variance), 1, 0.02);
  }
}

TEST(Metrics, RefusesWhatItCannotMeasure) {
  EXPECT_THROW(measure(picture(1, 4, {1, 2, 3, 4})), Error);
  const GrayImage image = picture(2, 2, {1, 2, 3, 4}), empty = picture(2, 2, {0, 0, 0, 0}),
                  other = picture(3, 2, {1, 1, 1, 1, 1, 1});
  EXPECT_THROW(measure(image, {}, &empty), Error);
  EXPECT_THROW(measure(image, {}, &other), Error);
}

}  // namespace
}  // namespace echodiff
