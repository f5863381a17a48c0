// Dice by hand; a segmenter learns a class that is plain to see, and survives saving.
#include "quality/judges/segmenter.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "quality/judges/scorer.h"
#include "quality/judges/segmentation_loss.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"
#include "train/data/image.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

TEST(Dice, ByHand) {
  const GrayImage a{4, 1, {1, 1, 0, 0}}, b{4, 1, {0, 255, 255, 255}}, none{4, 1, {0, 0, 0, 0}};
  EXPECT_EQ(*dice(a, b), 2.0 * 1 / 5);
  EXPECT_EQ(*dice(a, a), 1);
  EXPECT_EQ(*dice(a, none), 0);
  EXPECT_FALSE(dice(none, none).has_value());
}

// A bright square somewhere on a dark ground, and its mask.
std::pair<GrayImage, GrayImage> square(uint64_t seed) {
  GrayImage image{16, 16, std::vector<uint8_t>(256, 40)}, mask{16, 16, std::vector<uint8_t>(256, 0)};
  Random random(seed);
  const int64_t top = random.below(10), left = random.below(10);
  for (int64_t y = top; y < top + 6; ++y)
    for (int64_t x = left; x < left + 6; ++x) image.at(y, x) = 200, mask.at(y, x) = 1;
  return {image, mask};
}

TEST(Dice, MeanIsOfEachPictureOverItsClasses) {
  const Segmenter segmenter({.image_size = 16, .classes = {"a", "b"}, .dim = 8, .mults = {1, 2}}, 3);
  std::vector<GrayImage> images;
  std::vector<std::vector<GrayImage>> masks;
  for (uint64_t i = 0; i < 3; ++i) {
    const auto [image, mask] = square(i);
    images.push_back(image);
    masks.push_back({mask, square(i + 10).second});
  }
  std::vector<const std::vector<GrayImage>*> planes;
  for (const std::vector<GrayImage>& one : masks) planes.push_back(&one);
  const DiceScores scores = dice_scores(segmenter, images, planes);
  ASSERT_EQ(scores.mean.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(scores.mean[i], (scores.by_class[0][i] + scores.by_class[1][i]) / 2);
}

TEST(DiceLoss, ByHandAndEachClassCountsTheSame) {
  // Logits far from 0 are p = 0 or 1. The first class: 2 of 3 found, nothing else; the second: nothing of 1 found, 1
  // found that isn't there. Over both pictures: (2 * 2 + 1) / (2 + 3 + 1) and (0 + 1) / (1 + 1 + 1).
  const Tensor logits = from_vector({2, 2, 2, 1}, std::vector<double>{40, -40, -40, 40, 40, -40, -40, -40}, DType::f64);
  const Tensor planes = from_vector({2, 2, 2, 1}, std::vector<double>{1, 1, 0, 0, 1, 0, 1, 0}, DType::f64);
  EXPECT_NEAR(dice_loss(logits, planes).item(), 1 - (5.0 / 6 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(segmentation_loss(logits, planes, 0).item(), bce_with_logits(logits, planes).item(), 1e-12);
  EXPECT_THROW(dice_loss(logits, from_vector({2, 1, 2, 2}, std::vector<double>(8), DType::f64)), Error);
}

TEST(DiceLoss, GradientIsTheDifferenceQuotient) {
  Random random(3);
  std::vector<double> values, target;
  for (int64_t i = 0; i < 2 * 3 * 2 * 3; ++i) {
    values.push_back(random.normal());
    target.push_back(double(random.below(2)));
  }
  const Shape shape{2, 3, 2, 3};
  const Tensor planes = from_vector(shape, target, DType::f64);
  const auto loss = [&](const std::vector<double>& at) {
    return segmentation_loss(from_vector(shape, at, DType::f64), planes, 0.7);
  };
  Tensor logits = from_vector(shape, values, DType::f64);
  logits.set_requires_grad(true);
  segmentation_loss(logits, planes, 0.7).backward();
  const std::vector<double> gradient = logits.grad().to_vector();
  for (size_t i = 0; i < values.size(); ++i) {
    constexpr double kStep = 1e-5;
    std::vector<double> above = values, below = values;
    above[i] += kStep;
    below[i] -= kStep;
    EXPECT_NEAR(gradient[i], (loss(above).item() - loss(below).item()) / (2 * kStep), 1e-9) << i;
  }
}

TEST(Segmenter, LearnsAndSurvivesSaving) {
  Segmenter segmenter({.image_size = 16, .classes = {"square"}, .dim = 8, .mults = {1, 2}}, 3);
  Adam adam(segmenter.network().parameters(), {});
  for (uint64_t step = 0; step < 60; ++step) {
    const auto [first, first_mask] = square(2 * step);
    const auto [second, second_mask] = square(2 * step + 1);
    std::vector<double> target(first_mask.pixels.begin(), first_mask.pixels.end());
    target.insert(target.end(), second_mask.pixels.begin(), second_mask.pixels.end());
    adam.zero_grad();
    segmentation_loss(segmenter(to_tensor({&first, &second})), from_vector({2, 1, 16, 16}, target)).backward();
    adam.step(3e-3);
    ASSERT_TRUE(adam.finite());
  }
  segmenter.network().eval();
  const ScratchFolder folder;
  const std::string run = folder.string();
  std::filesystem::create_directory(run + "/checkpoints");
  segmenter.save(run, 60);
  const Segmenter loaded = load_segmenter_run(run);
  std::vector<GrayImage> images;
  std::vector<std::vector<GrayImage>> masks;
  for (uint64_t i = 0; i < 40; ++i) {
    const auto [image, mask] = square(1000 + i);
    images.push_back(image);
    masks.push_back({mask});
  }
  std::vector<const std::vector<GrayImage>*> planes;
  for (const std::vector<GrayImage>& one : masks) planes.push_back(&one);
  const DiceScores scores = dice_scores(loaded, images, planes);
  const std::vector<double>& values = scores.by_class[0];
  ASSERT_EQ(values.size(), 40u);
  EXPECT_EQ(scores.mean, values);  // of one class
  for (double value : values) EXPECT_GT(value, 0.9);
  EXPECT_EQ(loaded.segment(images)[5][0].pixels, segmenter.segment({images[5]})[0][0].pixels);
  EXPECT_THROW(loaded.segment({GrayImage{8, 8, std::vector<uint8_t>(64, 0)}}), Error);
  EXPECT_THROW(load_scorer_run(run), Error);
}

}  // namespace
}  // namespace echodiff
