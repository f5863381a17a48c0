// The value model's data: no mask or trajectory crosses the split, batches are balanced and functions of (seed,
// sample), frames carry their time; what is reported of hand-made frames.
#include "quality/judges/value_data.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "quality/judges/value_report.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 8, kT = 100, kMasks = 10, kTrajectories = 60;

// Trajectory i: x0hat frames of grey i, finished picture of grey 100 + i; every third is good.
ValueData make_data() {
  ValueData data;
  data.image_size = kSize;
  data.planes = 2;
  data.T = kT;
  for (int64_t m = 0; m < kMasks; ++m) {
    Tensor mask = full({1, 2, kSize, kSize}, double(m));
    mask.mutable_data<float>()[0] = 99;  // plane 0 of the upper left pixel
    data.masks.push_back(mask);
  }
  for (int64_t i = 0; i < kTrajectories; ++i) {
    GrayImage early{kSize, kSize, std::vector<uint8_t>(kSize * kSize, uint8_t(i))}, final = early;
    for (uint8_t& pixel : final.pixels) pixel = uint8_t(100 + i);
    early.pixels[0] = 255;
    data.trajectories.push_back({{early, early}, {90, 40}, final, i % kMasks, i / kMasks % 3 == 0});
  }
  return data;
}

std::set<int64_t> masks_of(const ValueData& data, const std::vector<int64_t>& trajectories) {
  std::set<int64_t> masks;
  for (const int64_t i : trajectories) masks.insert(data.trajectories[size_t(i)].mask);
  return masks;
}

TEST(ValueSplit, NoMaskAndNoTrajectoryCrosses) {
  const ValueData data = make_data();
  const ValueSplit split = split_by_mask(data, 0.2, 0.3, 1);
  EXPECT_EQ(split.train.size() + split.calibrate.size() + split.test.size(), size_t(kTrajectories));
  std::set<int64_t> trajectories, masks;
  for (const std::vector<int64_t>* part : {&split.train, &split.calibrate, &split.test}) {
    trajectories.insert(part->begin(), part->end());
    for (const int64_t mask : masks_of(data, *part)) EXPECT_TRUE(masks.insert(mask).second) << mask;
  }
  EXPECT_EQ(trajectories.size(), size_t(kTrajectories));
  EXPECT_EQ(masks_of(data, split.calibrate).size(), 2u);
  EXPECT_EQ(masks_of(data, split.test).size(), 3u);
  EXPECT_NE(split_by_mask(data, 0.2, 0.3, 2).test, split.test);
}

TEST(ValueSplit, APartWithoutBothClassesIsRefused) {
  ValueData data = make_data();
  for (ValueTrajectory& trajectory : data.trajectories) trajectory.good = trajectory.mask == 0;
  EXPECT_THROW(split_by_mask(data, 0.2, 0.3, 1), Error);
}

std::vector<int64_t> all_trajectories() {
  std::vector<int64_t> trajectories;
  for (int64_t i = 0; i < kTrajectories; ++i) trajectories.push_back(i);
  return trajectories;
}

TEST(ValueBatches, AreBalancedAndFunctionsOfSeedAndSample) {
  const ValueData data = make_data();
  const Schedule schedule = make_schedule(data.schedule, data.T);
  for (const char* on : {"x0hat", "xt", "x0"}) {
    const ValueBatch whole = draw_value_batch(data, schedule, all_trajectories(), on, 5, 0, 16);
    const ValueBatch second = draw_value_batch(data, schedule, all_trajectories(), on, 5, 8, 8);
    EXPECT_EQ(sum(whole.targets).item(), 8) << on;
    EXPECT_EQ(slice(whole.images, 0, 8, 16).to_vector(), second.images.to_vector()) << on;
    EXPECT_EQ(slice(whole.condition, 0, 8, 16).to_vector(), second.condition.to_vector()) << on;
    EXPECT_EQ(slice(whole.t, 0, 8, 16).to_vector(), second.t.to_vector()) << on;
    EXPECT_NE(draw_value_batch(data, schedule, all_trajectories(), on, 6, 0, 16).images.to_vector(),
              whole.images.to_vector());
  }
}

TEST(ValueBatches, FramesCarryTheirTimeMaskAndMirror) {
  const ValueData data = make_data();
  const Schedule schedule = make_schedule(data.schedule, data.T);
  const std::vector<ValueFrame> frames = frames_of(data, {7}, "x0hat");
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames_of(data, {7}, "x0").size(), 1u);
  const ValueBatch plain = make_value_batch(data, schedule, frames, {false, false, true}, "x0hat", 1, 0);
  EXPECT_EQ(plain.t.to_vector(), (std::vector<double>{90, 40, -1}));
  const auto pixel = [&](int64_t n, int64_t i) { return plain.images.data<float>()[n * kSize * kSize + i]; };
  EXPECT_FLOAT_EQ(pixel(0, 1), 2.0f * 7 / 255 - 1);
  EXPECT_FLOAT_EQ(pixel(0, 0), 1);
  EXPECT_FLOAT_EQ(pixel(2, 1), 2.0f * 107 / 255 - 1);
  const float* masks = plain.condition.data<float>();  // channels last
  EXPECT_EQ(masks[0], 99);
  EXPECT_EQ(masks[1], 7);
  const float* mirrored = masks + 2 * 2 * kSize * kSize;
  EXPECT_EQ(mirrored[0], 7);
  EXPECT_EQ(mirrored[2 * (kSize - 1)], 99);
  const ValueBatch noisy = make_value_batch(data, schedule, frames, {false, false, false}, "xt", 1, 0);
  EXPECT_FLOAT_EQ(noisy.images.data<float>()[2 * kSize * kSize], 2.0f * 107 / 255 - 1);  // finished: no noise
  for (const double value : noisy.images.to_vector()) EXPECT_LE(std::abs(value), 1);
  EXPECT_NE(noisy.images.data<float>()[0], noisy.images.data<float>()[1]);
}

TEST(ValueCalibration, EachBinHasItsOwnAndAnEmptyOneItsNeighbours) {
  ValueModel model({.image_size = kSize, .planes = 2, .width = 8, .T = kT}, 1);
  std::vector<JudgedFrame> frames;
  for (int64_t i = 0; i < 40; ++i) {
    frames.push_back({i % 4 < 3 ? 1.0 : -1.0, i % 4 < 3, 0, 95});  // the last bin: logits that tell
    frames.push_back({i % 2 ? 1.0 : -1.0, i % 4 < 2, 0, -1});      // finished: logits that tell nothing
  }
  calibrate(model, frames);
  EXPECT_GT(model.calibration()[9].slope, 2);
  EXPECT_NEAR(model.calibration()[10].slope, 0, 1e-6);
  EXPECT_EQ(model.calibration()[0].slope, model.calibration()[10].slope);
  EXPECT_EQ(model.calibration()[8].slope, model.calibration()[9].slope);
}

TEST(ValueCalibration, BalancedLossWeighsTheClassesAlike) {
  // One good at logit 2, three poor at logit 0: (log(1 + e^-2) + log 2) / 2.
  const double loss = balanced_loss({{2, true, 0, 5}, {0, false, 0, 5}, {0, false, 0, 5}, {0, false, 0, 5}});
  EXPECT_NEAR(loss, 0.5 * (std::log1p(std::exp(-2.0)) + std::log(2.0)), 1e-12);
}

}  // namespace
}  // namespace echodiff
