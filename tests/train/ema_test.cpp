// The moving average against ema-pytorch, step by step.
#include "train/ema.h"

#include <gtest/gtest.h>

#include "tests/golden.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

constexpr double kTolerance = 2e-6;

class EmaGolden : public ::testing::Test {
 protected:
  // `online` (40, 6) holds the weights after each of forty steps.
  void run(const std::string& name, const EmaOptions& options) {
    const GoldenFile golden("ops/ema.safetensors");
    const Tensor all = golden.at("online");
    const int64_t width = all.dim(1);
    Tensor online = from_values({width}, all.data<float>()), averaged = zeros({width});
    Ema ema({{"w", online}}, {{"w", averaged}}, options);
    std::vector<double> history, decays;
    for (int64_t step = 0; step < all.dim(0); ++step) {
      online.copy_from(from_values({width}, all.data<float>() + step * width));
      ema.update();
      decays.push_back(ema.decay());
      for (const double x : averaged.to_vector()) history.push_back(x);
    }
    golden.expect_within(name + "/ema", from_vector(all.shape(), history), kTolerance);
    golden.expect_within(name + "/decay_after", from_vector({all.dim(0)}, decays, DType::f64), 1e-6);
  }
};

TEST_F(EmaGolden, AsTheTrainerUsesIt) { run("trainer", {.beta = 0.995, .update_after_step = 100, .update_every = 10}); }
TEST_F(EmaGolden, EveryStep) { run("every1_after0", {.beta = 0.995}); }
TEST_F(EmaGolden, EverySecondAfterFive) {
  run("every2_after5", {.beta = 0.9, .update_after_step = 5, .update_every = 2});
}
TEST_F(EmaGolden, Power) {
  run("power075", {.beta = 0.9999, .update_after_step = 3, .inv_gamma = 2, .power = 0.75, .min_value = 0.1});
}

TEST(Ema, StartsAsACopyAndGoesOnFromASavedOne) {
  const Tensor online = from_vector({2}, {1, 2});
  const Tensor averaged = zeros({2});
  Ema ema({{"w", online}}, {{"w", averaged}}, {});
  EXPECT_EQ(averaged.to_vector(), online.to_vector());
  SafetensorsFile saved;
  saved.tensors.push_back({"ema.w", from_vector({2}, {5, 6})});
  ema.load(saved, "ema.", 1000);
  EXPECT_EQ(averaged.to_vector(), (std::vector<double>{5, 6}));
  EXPECT_EQ(ema.step(), 1000);
  EXPECT_NEAR(ema.decay(), 0.99, 1e-4);
  EXPECT_THROW(ema.load(SafetensorsFile{}, "ema.", 0), Error);
}

}  // namespace
}  // namespace echodiff
