// The spectrum of white noise is flat, and a wave lands in its band.
#include "quality/evaluate/spectrum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

template <class Grey> GrayImage picture(int64_t height, int64_t width, Grey grey) {
  GrayImage image{width, height, std::vector<uint8_t>(size_t(height * width))};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) image.at(y, x) = to_byte(grey(y, x));
  return image;
}

TEST(Spectrum, WhiteNoiseHasItsVarianceInEveryBand) {
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 64}, {63, 65}, {33, 64}, {17, 17}}) {
    Random random{uint64_t(height)};
    std::array<double, kBands> mean{};
    constexpr int64_t kPictures = 200;
    for (int64_t i = 0; i < kPictures; ++i) {
      const std::array<double, kBands> powers =
          band_powers(picture(height, width, [&](int64_t, int64_t) { return 128 + 20 * random.normal(); }));
      for (size_t band = 0; band < powers.size(); ++band) mean[band] += powers[band] / double(kPictures);
    }
    // Rounding to whole greys adds a twelfth. The mean that is taken off thins out the coarsest bands of small
    // pictures.
    for (size_t band = 2; band < mean.size(); ++band)
      EXPECT_NEAR(mean[band] / (400 + 1.0 / 12), 1, 0.06) << height << "x" << width << " band " << band;
  }
}

TEST(Spectrum, AWaveLandsInItsBand) {
  constexpr double kTurn = 2 * std::numbers::pi;
  for (int64_t band = 0; band < kBands; ++band) {
    const double frequency = band_end(band) - 1.0 / 32;  // in the band's middle
    for (const double angle : {0.0, 0.6, std::numbers::pi / 2}) {
      const double fy = frequency * std::sin(angle), fx = frequency * std::cos(angle);
      const std::array<double, kBands> powers = band_powers(picture(64, 75, [&](int64_t y, int64_t x) {
        return 128 + 50 * std::cos(kTurn * (fy * double(y) + fx * double(x)));
      }));
      double all = 0;
      for (int64_t each = 0; each < kBands; ++each) all += powers[size_t(each)] * double(2 * each + 1);  // by area
      EXPECT_GT(powers[size_t(band)] * double(2 * band + 1) / all, 0.97) << "band " << band << " at " << angle;
    }
  }
}

TEST(Spectrum, AConstantPictureHasNoPowerAndASmallOneNotEveryBand) {
  for (const double power : band_powers(picture(16, 19, [](int64_t, int64_t) { return 77; })))
    EXPECT_NEAR(power, 0, 1e-20);
  EXPECT_TRUE(std::isnan(band_powers(picture(4, 4, [](int64_t, int64_t) { return 77; }))[0]));
  EXPECT_THROW(band_powers(GrayImage{}), Error);
}

}  // namespace
}  // namespace echodiff
