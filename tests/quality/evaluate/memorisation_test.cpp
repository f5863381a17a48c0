// Copies are found, mirrored and brightened ones too; held-out pictures are not called copies; near-duplicates count
// once.
#include "quality/evaluate/memorisation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/philox.h"
#include "quality/evaluate/guard.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

GrayImage noise_picture(uint64_t seed) {
  GrayImage image{32, 32, {}};
  Random random(seed);
  for (int64_t i = 0; i < 32 * 32; ++i) image.pixels.push_back(uint8_t(50 + random.below(100)));
  return image;
}

std::vector<GrayImage> noise_pictures(uint64_t first, int64_t count) {
  std::vector<GrayImage> images;
  for (int64_t i = 0; i < count; ++i) images.push_back(noise_picture(first + uint64_t(i)));
  return images;
}

GrayImage brighter(GrayImage image) {
  for (uint8_t& pixel : image.pixels) pixel = uint8_t(20 + pixel * 1.2);
  return image;
}

TEST(Rows, DistancesByHand) {
  const Rows apart = distances({2, 2, {0, 0, 3, 4}}, {1, 2, {0, 1}});
  EXPECT_NEAR(apart.values[0], 1, 1e-12);
  EXPECT_NEAR(apart.values[1], std::sqrt(18), 1e-12);
}

TEST(Rows, ThumbnailDistanceIsOneLessTheCorrelation) {
  const GrayImage a{2, 2, {0, 0, 10, 10}}, same{2, 2, {50, 50, 70, 70}}, other{2, 2, {0, 10, 0, 10}},
      negative{2, 2, {9, 9, 0, 0}}, flat{2, 2, {7, 7, 7, 7}};
  const Rows rows = thumbnails({a, same, other, negative, flat}, 2), apart = distances(rows, rows);
  EXPECT_NEAR(apart.row(0)[1], 0, 1e-7);
  EXPECT_NEAR(apart.row(0)[2], 1, 1e-12);
  EXPECT_NEAR(apart.row(0)[3], std::sqrt(2), 1e-12);
  EXPECT_NEAR(apart.row(0)[4], std::sqrt(0.5), 1e-12);
}

TEST(Memorisation, CopiesAreFoundWithTheirOriginals) {
  const std::vector<GrayImage> training = noise_pictures(100, 30);
  const TrainingSet set(training);
  const std::vector<Nearest> held_out = set.nearest_to(noise_pictures(500, 100));
  std::vector<GrayImage> samples = noise_pictures(900, 6);
  samples.push_back(training[7]);
  samples.push_back(mirrored(training[21]));
  samples.push_back(brighter(training[3]));
  const std::vector<Nearest> pairs = set.nearest_to(samples);
  EXPECT_EQ(pairs[6].index, 7);
  EXPECT_EQ(pairs[7].index, 21);
  EXPECT_EQ(pairs[8].index, 3);
  const Memorisation result = memorisation(pairs, held_out);
  EXPECT_EQ(result.copies, 3);
  EXPECT_GT(result.closer.value, 0.5);
  EXPECT_NEAR(result.median, result.median_held_out, 0.05);
}

TEST(Memorisation, NearnessByHand) {
  // Held out at 1, 2, 3; samples at 0.5 and 2.5: of the six comparisons the samples are nearer in 3 + 1.
  const Memorisation result = memorisation({{0, 0.5}, {0, 2.5}}, {{0, 1}, {0, 2}, {0, 3}});
  EXPECT_NEAR(result.closer.value, 4 / 6.0, 1e-12);
  // A sample wins 3/3 and 1/3: variance 2/9 over 2; against 1, 2, 3 they win 1/2, 1/2, 2/2: variance 1/12 over 3.
  EXPECT_NEAR(result.closer.error, std::sqrt(2 / 9.0 / 2 + 1 / 12.0 / 3), 1e-12);
  EXPECT_NEAR(copy_distance({{0, 1}, {0, 2}, {0, 3}}), 1.02, 1e-12);
  EXPECT_EQ(result.copies, 1);
  EXPECT_EQ(result.median, 1.5);
  EXPECT_EQ(result.median_held_out, 2);
}

TEST(Distinct, NearDuplicatesCountOnce) {
  const Rows line{5, 1, {0, 0.1, 5, 0.2, 5.05}};
  EXPECT_EQ(distinct_count(line, 0.15), 3);  // 0.1 is near 0; 0.2 is near 0.1 only, which didn't count
  EXPECT_EQ(distinct_count(line, 1), 2);
  EXPECT_EQ(distinct_count(line, 0), 5);
}

TEST(SectorEnergy, ByHand) {
  const GrayImage image{2, 2, {3, 4, 0, 12}}, sector{2, 2, {255, 0, 0, 255}}, black{2, 2, {0, 0, 0, 0}};
  EXPECT_NEAR(outside_energy(image, sector), 16 / 169.0, 1e-12);
  EXPECT_EQ(outside_energy(black, sector), 0);
}

}  // namespace
}  // namespace echodiff
