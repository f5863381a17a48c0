// Each attack does what it says, and the guard, which has seen none of them, flags most and few real pictures.
#include "quality/evaluate/guard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/error.h"
#include "quality/evaluate/attacks.h"
#include "quality/labels/metrics.h"
#include "train/data/image.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

Guard::Pictures phantoms(int64_t first, int64_t count) {
  Guard::Pictures pictures;
  for (int64_t i = first; i < first + count; ++i) {
    const Phantom phantom = make_phantom({.size = 64, .seed = 8}, i);
    pictures.images.push_back(phantom.image);
    pictures.sectors.push_back(phantom.sector);
  }
  return pictures;
}

TEST(Attacks, DoWhatTheySay) {
  const GrayImage image{4, 2, {0, 10, 20, 30, 40, 50, 60, 255}}, sector{4, 2, {0, 255, 255, 255, 255, 255, 255, 255}};
  const GrayImage classes{4, 2, {0, 0, 1, 2, 0, 0, 0, 0}}, training{4, 2, {9, 90, 90, 90, 9, 90, 90, 90}};
  const AttackSource source{image, sector, classes, training};
  EXPECT_EQ(attack("empty_sector", source, 1).pixels,
            (std::vector<uint8_t>{0, 66, 66, 66, 66, 66, 66, 66}));  // 465 / 7
  EXPECT_EQ(attack("painted_mask", source, 1).pixels, (std::vector<uint8_t>{0, 60, 120, 180, 60, 60, 60, 60}));
  EXPECT_EQ(attack("gamma", source, 1).at(0, 1), 50);  // 255 sqrt(10 / 255)
  EXPECT_EQ(attack("gamma", source, 1).at(1, 3), 255);
  EXPECT_EQ(attack("median", source, 1).at(0, 1), 20);  // of 0 10 20 twice (the border repeats) and 40 50 60
  const GrayImage copy = attack("near_copy", source, 1);
  for (size_t x = 2; x < 4; ++x) EXPECT_NEAR(copy.pixels[x], 90, 10);
  EXPECT_NEAR(copy.at(0, 1), 9, 9);
  EXPECT_THROW(attack("no such", source, 1), Error);
}

TEST(Attacks, BlurMedianAndStretchChangeTheMetricsTheyTarget) {
  const Guard::Pictures real = phantoms(0, 1);
  const AttackSource source{real.images[0], real.sectors[0], real.sectors[0], real.images[0]};
  const Metrics before = measure(real.images[0]), once = measure(attack("blur_1", source, 1)),
                twice = measure(attack("blur_2", source, 1));
  EXPECT_LT(once.sharpness, before.sharpness / 4);
  EXPECT_LT(twice.sharpness, once.sharpness / 2);
  EXPECT_LT(measure(attack("median", source, 1)).sharpness, before.sharpness);
  EXPECT_GT(measure(attack("contrast_stretch", source, 1)).contrast, before.contrast);
  EXPECT_GT(measure(attack("salt", source, 1)).sharpness, before.sharpness);
  const Metrics speckle = measure(attack("constant_speckle", source, 1), {}, &real.sectors[0]);
  EXPECT_NEAR(speckle.contrast / measure(real.images[0], {}, &real.sectors[0]).contrast, 1, 0.3);
}

TEST(Guard, StatisticsSeeGreysLeftOut) {
  const Guard::Pictures real = phantoms(0, 10);
  for (size_t i = 0; i < 10; ++i) {
    const GrayImage &image = real.images[i], &sector = real.sectors[i];
    const std::vector<double> before = grey_statistics(image, sector),
                              after = grey_statistics(attack("gamma", {image, sector, sector, image}, 1), sector);
    ASSERT_EQ(before.size(), 14u);
    EXPECT_GT(after[13], 1.5 * before[13]);  // jumps of the histogram
  }
}

// A chequered picture, brighter from left to right in cells, once by the same steps everywhere, once by a share of the
// grey.
TEST(Guard, StatisticsSeeHowDeviationGrowsWithTheMean) {
  const auto slope_of = [](const std::function<double(double)>& deviation) {
    GrayImage image{64, 64, std::vector<uint8_t>(64 * 64)}, sector{64, 64, std::vector<uint8_t>(64 * 64, 1)};
    for (int64_t y = 0; y < 64; ++y)
      for (int64_t x = 0; x < 64; ++x) {
        const double mean = 40 + 10 * double(x / 4);
        image.at(y, x) = uint8_t(std::lround(mean + ((x + y) % 2 == 0 ? 1 : -1) * deviation(mean)));
      }
    return grey_statistics(image, sector)[12];
  };
  EXPECT_NEAR(slope_of([](double) { return 10; }), 0, 0.02);
  EXPECT_NEAR(slope_of([](double mean) { return 0.25 * mean; }), 1, 0.05);
}

TEST(Guard, FlagsAttacksAndPassesHeldOutPictures) {
  const Guard::Pictures real = phantoms(0, 210), held_out = phantoms(210, 60);
  const Guard guard(real, {}, 0.95);
  const std::vector<std::string> honest = guard.flags(held_out);
  EXPECT_GE(std::count(honest.begin(), honest.end(), ""), 51);  // 85 %
  for (const std::string& name : attack_names()) {
    Guard::Pictures attacked{{}, held_out.sectors};
    for (size_t i = 0; i < held_out.images.size(); ++i)
      attacked.images.push_back(
          attack(name, {held_out.images[i], held_out.sectors[i], held_out.sectors[i], real.images[i]}, i));
    const std::vector<std::string> flags = guard.flags(attacked);
    EXPECT_LE(std::count(flags.begin(), flags.end(), ""), 6) << name;  // 90 % flagged
  }
  const std::vector<std::string> copies = guard.flags(real);
  EXPECT_EQ(std::count(copies.begin(), copies.end(), ""), 0);
}

// Phantoms are black outside of their sector; a sampled picture has a grey level here and there.
TEST(Guard, PassesAPictureThatIsNearlyBlackOutside) {
  const Guard::Pictures real = phantoms(0, 210), held_out = phantoms(210, 60);
  const Guard guard(real, {}, 0.95);
  const auto with_outside = [&](int64_t every, uint8_t level) {
    Guard::Pictures pictures = held_out;
    for (size_t n = 0; n < pictures.images.size(); ++n) {
      std::vector<uint8_t>& pixels = pictures.images[n].pixels;
      for (size_t i = 0; i < pixels.size(); i += size_t(every))
        if (pictures.sectors[n].pixels[i] == 0) pixels[i] = level;
    }
    const std::vector<std::string> flags = guard.flags(pictures);
    return std::count(flags.begin(), flags.end(), "");
  };
  EXPECT_GE(with_outside(3, 1), 51);  // 85 % pass
  EXPECT_LE(with_outside(1, 20), 6);
}

// Honest samples differ from real pictures in ways no eye minds; those given make others of their kind pass.
TEST(Guard, KnowsTheSamplesItIsGiven) {
  const Guard::Pictures real = phantoms(0, 210);
  const auto smoothed = [](Guard::Pictures pictures) {
    for (GrayImage& image : pictures.images) image = gaussian_blur(image, 0.6);
    return pictures;
  };
  const auto passed = [&](const Guard::Pictures& samples) {
    const std::vector<std::string> flags = Guard(real, samples, 0.95).flags(smoothed(phantoms(210, 60)));
    return std::count(flags.begin(), flags.end(), "");
  };
  EXPECT_LE(passed({}), 6);
  EXPECT_GE(passed(smoothed(phantoms(270, 60))), 51);
}

// Moved, mirrored, brightened and even smoothed it has the same speckle.
TEST(Guard, KnowsACopyByItsDetail) {
  const Guard::Pictures training = phantoms(0, 60), others = phantoms(60, 40);
  const TrainingSet set(training.images);
  std::vector<GrayImage> moved, smooth;
  for (size_t n = 0; n < 40; ++n) {
    GrayImage image = mirrored(training.images[n]);
    const GrayImage before = image;
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width; ++x)
        image.at(y, x) = uint8_t(20 + 0.7 * before.at(std::max<int64_t>(y - 2, 0), std::max<int64_t>(x - 1, 0)));
    moved.push_back(image);
    smooth.push_back(gaussian_blur(image, 1));
  }
  for (const double shared : set.shared_detail(moved)) EXPECT_GT(shared, 0.95);
  for (const double shared : set.shared_detail(smooth)) EXPECT_GT(shared, 0.7);
  for (const double shared : set.shared_detail(others.images)) EXPECT_LT(shared, 0.6);
  for (const double shared : set.detail_of_others()) EXPECT_LT(shared, 0.6);
}

TEST(Guard, NeedsPicturesToLearnFrom) { EXPECT_THROW(Guard(phantoms(0, 29), {}, 0.95), Error); }

}  // namespace
}  // namespace echodiff
