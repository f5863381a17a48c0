// Augmentation stays inside the sector and moves picture and masks together; data order, times and noise are functions
// of the sample's number alone.
#include "train/data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "train/data/loader.h"
#include "train/draws.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 8, kPlanes = 2;

// A ramp in a sector that leaves out the border; plane 0 marks the left half.
Dataset ramp_dataset(int64_t count) {
  Dataset dataset{.plane_names = {"left", "sector"}, .examples = {}, .image_size = kSize};
  for (int64_t n = 0; n < count; ++n) {
    Example example{.file = std::to_string(n) + ".png", .split = "train", .group = "", .image = {}, .planes = {}};
    const GrayImage blank{kSize, kSize, std::vector<uint8_t>(kSize * kSize, 0)};
    example.image = blank;
    example.planes = {blank, blank};
    for (int64_t row = 1; row < kSize - 1; ++row)
      for (int64_t column = 1; column < kSize - 1; ++column) {
        example.image.at(row, column) = uint8_t(20 * column + n);
        example.planes[0].at(row, column) = column < kSize / 2;
        example.planes[1].at(row, column) = 1;
      }
    dataset.examples.push_back(example);
  }
  return dataset;
}

TEST(Augment, OffChangesNothing) {
  const Dataset dataset = ramp_dataset(1);
  const Loader loader(dataset, "train", 1, {});
  const Batch batch = loader.draw(0, 1), plain = loader.gather({0});
  EXPECT_EQ(batch.x_0.to_vector(), plain.x_0.to_vector());
  EXPECT_EQ(batch.condition.to_vector(), plain.condition.to_vector());
  EXPECT_FLOAT_EQ(float(plain.x_0.to_vector()[size_t(kSize + 1)]), 20.0f / 255 * 2 - 1);
}

TEST(Augment, FlipMovesPictureAndMasksTogether) {
  const Dataset dataset = ramp_dataset(1);
  const Loader loader(dataset, "train", 3, {.flip = true});
  const Batch plain = loader.gather({0});
  int64_t flipped = 0;
  for (int64_t k = 0; k < 40; ++k) {
    const Batch batch = loader.draw(k, 1);
    const bool is_flipped = batch.x_0.to_vector() != plain.x_0.to_vector();
    flipped += is_flipped;
    EXPECT_EQ(is_flipped, batch.condition.to_vector() != plain.condition.to_vector());
    const std::vector<double> x = batch.x_0.to_vector(), c = batch.condition.to_vector();
    for (size_t i = 0; i < size_t(kSize * kSize); ++i) {  // the left half of the ramp is the dark one, wherever it lies
      if (c[i] == 1) {
        EXPECT_LT(x[i], 80.0 / 255 * 2 - 1);
      }
    }
  }
  EXPECT_GT(flipped, 8);
  EXPECT_LT(flipped, 32);
}

TEST(Augment, GreyLevelsChangeInsideTheSectorOnly) {
  const Dataset dataset = ramp_dataset(1);
  const Loader loader(dataset, "train", 3, {.gamma = 0.3, .gain = 0.2});
  const std::vector<double> plain = loader.gather({0}).x_0.to_vector(), changed = loader.draw(5, 1).x_0.to_vector();
  EXPECT_NE(plain, changed);
  for (int64_t i = 0; i < kSize; ++i) EXPECT_EQ(changed[size_t(i)], -1);  // the top row is outside
  for (const double x : changed) EXPECT_TRUE(x >= -1 && x <= 1);
}

TEST(Draws, AnEpochVisitsEachExampleOnce) {
  for (const int64_t batch : {1, 3, 7}) {
    std::vector<int64_t> order;
    for (int64_t first = 0; first < 20; first += batch)
      for (const int64_t index : draw_examples(5, 10, first, std::min(batch, 20 - first))) order.push_back(index);
    EXPECT_EQ(order, draw_examples(5, 10, 0, 20));  // whatever the batch
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.begin() + 10).size(), 10U);
    EXPECT_EQ(std::set<int64_t>(order.begin() + 10, order.end()).size(), 10U);
  }
  EXPECT_NE(draw_examples(5, 10, 0, 10), draw_examples(5, 10, 10, 10));
  EXPECT_NE(draw_examples(5, 10, 0, 10), draw_examples(6, 10, 0, 10));
}

TEST(Draws, TimesAndNoiseAreThoseOfTheSample) {
  const Tensor t = draw_times(1, Draw::time, 0, 1000, 50);
  const int64_t* values = t.data<int64_t>();
  EXPECT_EQ(*std::min_element(values, values + 1000), 0);
  EXPECT_EQ(*std::max_element(values, values + 1000), 49);
  EXPECT_EQ(draw_times(1, Draw::time, 400, 1, 50).item(), double(values[400]));
  EXPECT_NE(draw_times(1, Draw::val_time, 0, 1000, 50).to_vector(), t.to_vector());
  const Tensor noise = draw_noise(1, Draw::noise, 0, {3, 1, 4, 4});
  const Tensor last = draw_noise(1, Draw::noise, 2, {1, 1, 4, 4});
  EXPECT_TRUE(std::equal(last.data<float>(), last.data<float>() + 16, noise.data<float>() + 32));
}

}  // namespace
}  // namespace echodiff
