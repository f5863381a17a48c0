// Averages with power-function profiles, and those of other lengths made from snapshots of two.
#include "train/power_ema.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "kernels/philox.h"
#include "tests/scratch_folder.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

// A weight that walks at random towards 1, as one in training does: its value after each step.
std::vector<double> walk(int64_t steps) {
  Random random(7, 0);
  std::vector<double> values;
  double value = 0;
  for (int64_t s = 0; s < steps; ++s) values.push_back(value += 0.01 * (1 - value) + 0.02 * random.uniform(-1, 1));
  return values;
}

// sum of (s^(gamma + 1) - (s - 1)^(gamma + 1)) theta(s) / t^(gamma + 1): what the decays multiply out to.
double weighted(const std::vector<double>& values, double gamma) {
  double sum = 0;
  const double t = double(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const double s = double(i + 1);
    sum += values[i] * (std::pow(s / t, gamma + 1) - std::pow((s - 1) / t, gamma + 1));
  }
  return sum;
}

TEST(PowerEma, LengthsHaveTheGammasOfThePaper) {
  EXPECT_NEAR(gamma_of_length(0.05), 16.97, 0.005);
  EXPECT_NEAR(gamma_of_length(0.10), 6.94, 0.005);
  EXPECT_THROW(gamma_of_length(0.29), Error);
  EXPECT_THROW(gamma_of_length(0), Error);
  EXPECT_THROW(gamma_of_length(std::nan("")), Error);
}

TEST(PowerEma, WeighsEachStepByItsProfile) {
  const std::vector<double> values = walk(400);
  Tensor online = full({2}, 0);
  std::vector<Ema> averages = begin_power_emas({{"w", online}});
  for (const double value : values) {
    online.copy_from(full({2}, value));
    for (Ema& average : averages) average.update();
  }
  for (size_t i = 0; i < averages.size(); ++i)
    EXPECT_NEAR(averages[i].averaged()[0].tensor.to_vector()[1], weighted(values, gamma_of_length(kSnapshotLengths[i])),
                1e-5);
}

TEST(PowerEma, SharesOfAKeptProfileAreThatOneAlone) {
  const std::vector<PowerProfile> kept{{500, 17}, {500, 7}, {1000, 17}, {1000, 7}};
  const std::vector<double> shares = shares_of(kept, kept[2]);
  for (size_t i = 0; i < shares.size(); ++i) EXPECT_NEAR(shares[i], i == 2 ? 1 : 0, 1e-9) << i;
}

class PowerEmaSnapshots : public ::testing::Test {
 protected:
  static constexpr int64_t kSteps = 640, kEvery = 20;
  PowerEmaSnapshots() : values_(walk(kSteps)) {
    Tensor online = full({3}, 0), counter = full({}, 0, DType::i64);
    std::vector<Ema> averages = begin_power_emas({{"net.w", online}, {"net.count", counter}});
    for (int64_t s = 1; s <= kSteps; ++s) {
      online.copy_from(full({3}, values_[size_t(s - 1)]));
      counter.copy_from(full({}, double(s), DType::i64));
      for (Ema& average : averages) average.update();
      if (s % kEvery == 0) save_snapshot(run_.string(), s, averages, {{"step", std::to_string(s)}});
    }
  }
  double made(double length, int64_t step) const {
    return average_of_length(run_.string(), length, step).at(0).tensor.to_vector()[0];
  }

  ScratchFolder run_;
  std::vector<double> values_;
};

TEST_F(PowerEmaSnapshots, MakeAnAverageOfAnyLength) {
  ASSERT_EQ(snapshots_of(run_.string()).size(), size_t(kSteps / kEvery));
  for (const int64_t step : {kSteps, kSteps / 2})
    for (const double length : {0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25}) {
      const std::vector<double> until(values_.begin(), values_.begin() + step);
      EXPECT_NEAR(made(length, step), weighted(until, gamma_of_length(length)), 8e-3) << length << " at " << step;
    }
  // Lengths differ by more than that, so the test tells them apart.
  EXPECT_GT(std::abs(made(0.03, kSteps / 2) - made(0.25, kSteps / 2)), 0.02);
}

TEST_F(PowerEmaSnapshots, CountersAreTheLastOnes) {
  const std::vector<NamedTensor> average = average_of_length(run_.string(), 0.15, kSteps / 2);
  ASSERT_EQ(average.size(), 2u);
  EXPECT_EQ(average[1].name, "net.count");
  EXPECT_EQ(average[1].tensor.item(), double(kSteps / 2));
}

TEST_F(PowerEmaSnapshots, GoOnFromACheckpoint) {
  Tensor online = full({3}, 5);
  std::vector<Ema> whole = begin_power_emas({{"w", online}}), again = begin_power_emas({{"w", online}});
  for (int64_t s = 0; s < 30; ++s) {
    online.copy_from(full({3}, values_[size_t(s)]));
    for (Ema& average : whole) average.update();
    if (s != 19) continue;
    SafetensorsFile saved;
    for (const NamedTensor& entry : power_ema_state(whole))
      saved.tensors.push_back({"train.power." + entry.name, entry.tensor.clone()});
    load_power_emas(saved, "train.power.", 20, again);
    EXPECT_THROW(load_power_emas(saved, "ema.", 20, again), Error);
  }
  for (int64_t s = 20; s < 30; ++s) {
    online.copy_from(full({3}, values_[size_t(s)]));
    for (Ema& average : again) average.update();
  }
  for (size_t i = 0; i < whole.size(); ++i)
    EXPECT_EQ(whole[i].averaged()[0].tensor.to_vector(), again[i].averaged()[0].tensor.to_vector());
}

TEST_F(PowerEmaSnapshots, DamagedAndMissingOnesAreRefused) {
  EXPECT_THROW(made(0.1, 30), Error);
  forget_snapshots_after(run_.string(), kSteps - kEvery);
  EXPECT_THROW(made(0.1, kSteps), Error);
  EXPECT_NO_THROW(made(0.1, kSteps - kEvery));
  std::fstream file(run_.at("ema/snapshot-00000020.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-1, std::ios::end);
  file.put('\x7f');
  file.close();
  EXPECT_THROW(made(0.1, kSteps - kEvery), Error);
}

}  // namespace
}  // namespace echodiff
