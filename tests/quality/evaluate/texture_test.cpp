// The sticks measure: blurred phantoms are told from phantoms, other phantoms are not.
#include "quality/evaluate/texture.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "train/data/image.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

struct Set {
  std::vector<GrayImage> images, sectors;
};

Set phantoms(uint64_t seed, int64_t count, double blur = 0) {
  Set set;
  for (int64_t i = 0; i < count; ++i) {
    const Phantom phantom = make_phantom({.size = 64, .seed = seed}, i);
    set.images.push_back(blur > 0 ? gaussian_blur(phantom.image, blur) : phantom.image);
    set.sectors.push_back(phantom.sector);
  }
  return set;
}

std::vector<PictureTexture> textures_of(const Set& set) { return echodiff::textures_of(set.images, set.sectors); }

bool holds(const Estimate& estimate, double value) { return estimate.low <= value && value <= estimate.high; }

TEST(Texture, TellsABlurOfHalfAPixelAndNotOtherPhantoms) {
  constexpr int64_t kCount = 100;
  const std::vector<PictureTexture> real = textures_of(phantoms(1, kCount)), other = textures_of(phantoms(2, kCount)),
                                    blurred = textures_of(phantoms(2, kCount, 0.5));
  const Texture of_other = texture_against(other, real), of_blurred = texture_against(blurred, real);
  for (size_t band = 0; band < size_t(kBands); ++band) {
    EXPECT_TRUE(holds(of_other.power_over_real[band], 1)) << band << ": " << of_other.power_over_real[band].value;
  }
  EXPECT_LT(of_blurred.power_over_real.back().high, of_other.power_over_real.back().low);
  for (const Compared Texture::*measure : {&Texture::signal_to_noise, &Texture::lateral_width, &Texture::axial_width}) {
    EXPECT_TRUE(holds((of_other.*measure).minus_real, 0));
    EXPECT_GT((of_blurred.*measure).minus_real.low, (of_other.*measure).minus_real.high);
  }
  EXPECT_TRUE(holds(of_other.mean_grey.minus_real, 0));
  EXPECT_GT(of_blurred.radiomic_distance.low, of_other.radiomic_distance.high);
}

GrayImage noise(int64_t height, int64_t width, uint64_t seed) {
  Random random(seed);
  GrayImage image{width, height, std::vector<uint8_t>(size_t(height * width))};
  for (uint8_t& pixel : image.pixels) pixel = to_byte(120 + 30 * random.normal());
  return image;
}

TEST(Texture, WithoutSectorsOnlyThePowerIsMeasured) {
  std::vector<GrayImage> images;
  for (uint64_t i = 0; i < 8; ++i) images.push_back(noise(33, 31, i));
  const std::vector<PictureTexture> real = echodiff::textures_of(images, std::vector<GrayImage>(8));
  const Texture texture = texture_against(real, real);
  EXPECT_EQ(texture.power_over_real.at(4).value, 1);
  EXPECT_TRUE(std::isnan(texture.mean_grey.value.value));
  EXPECT_TRUE(std::isnan(texture.radiomic_distance.value));
}

// Pictures that nothing can be measured on are left out, and never a number that isn't finite comes of them.
TEST(Texture, ConstantPicturesAndEmptySectors) {
  const GrayImage flat{33, 31, std::vector<uint8_t>(33 * 31, 90)}, none{33, 31, std::vector<uint8_t>(33 * 31, 0)};
  std::vector<GrayImage> images, sectors;
  for (uint64_t i = 0; i < 6; ++i) {
    images.push_back(i < 2 ? flat : noise(31, 33, i));
    sectors.push_back(i == 5 ? none : flat);
  }
  const std::vector<PictureTexture> mixed = echodiff::textures_of(images, sectors);
  const Texture texture = texture_against(mixed, mixed);
  EXPECT_NEAR(texture.radiomic_distance.value, 0, 0.01);  // roots of rounding: fewer pictures than features
  EXPECT_TRUE(std::isfinite(texture.signal_to_noise.minus_real.high));
  const std::vector<PictureTexture> flats = echodiff::textures_of({flat, flat, flat, flat}, {flat, flat, flat, flat});
  const Texture of_flats = texture_against(flats, flats);
  EXPECT_TRUE(std::isnan(of_flats.signal_to_noise.value.value));
  EXPECT_EQ(of_flats.mean_grey.minus_real.value, 0);
  EXPECT_TRUE(std::isnan(of_flats.radiomic_distance.value));  // no feature varies among the real ones
  EXPECT_TRUE(std::isfinite(texture_against(flats, mixed).radiomic_distance.high));
  EXPECT_TRUE(std::isnan(
      texture_against(mixed, echodiff::textures_of({none, none, none}, {none, none, none})).power_over_real[0].value));
}

TEST(RadiomicDistance, IsOfFeaturesInUnitsOfTheRealPicturesDeviation) {
  // One feature, real -3, -1, 1, 3 (variance 20/3) and one that never varies: samples are 2 deviations higher.
  const double deviation = std::sqrt(20.0 / 3);
  Rows real{4, 2, {}}, samples{4, 2, {}}, far{4, 2, {}};
  for (const double value : {-3, -1, 1, 3}) {
    real.values.insert(real.values.end(), {value, 7});
    samples.values.insert(samples.values.end(), {value + 2 * deviation, value});
    far.values.insert(far.values.end(), {1e9 + value, value});
  }
  EXPECT_NEAR(radiomic_distance(samples, real).value, 4, 1e-9);
  // Far ones stop at 5 deviations, without any of their own: 5^2 and 1 of the real ones' variance.
  EXPECT_NEAR(radiomic_distance(far, real).value, 26, 1e-6);
  EXPECT_THROW(radiomic_distance({3, 2, {4, 1, 6, 2, 8, 3}}, real), Error);
}

// The real pictures' scale is part of what varies: without it the error of a far set would be a fraction of the spread.
TEST(RadiomicDistance, ErrorIsTheSpreadOfRepetitions) {
  Random random(9);
  const auto rows = [&](double shift) {
    Rows out{60, 3, {}};
    for (int64_t i = 0; i < 180; ++i) out.values.push_back(random.normal() + shift);
    return out;
  };
  std::vector<double> values, errors;
  for (int64_t i = 0; i < 60; ++i) {
    const Measure measure = radiomic_distance(rows(2), rows(0));
    values.push_back(measure.value);
    errors.push_back(measure.error);
  }
  EXPECT_NEAR(mean_of(errors).value / (mean_of(values).error * std::sqrt(60.0)), 1, 0.25);
}

}  // namespace
}  // namespace echodiff
