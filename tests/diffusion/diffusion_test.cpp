// The forward process and the loss against PyTorch's, the weights, and masks that are dropped.
#include "diffusion/diffusion.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/condition.h"
#include "tensor/autograd.h"
#include "tests/golden.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

TEST(ForwardProcess, MatchesGolden) {
  const GoldenFile golden("trajectory/forward_process.safetensors");
  const Schedule s = make_schedule(ScheduleKind::linear, 50);
  const Tensor &x_0 = golden.at("x0"), &t = golden.at("t"), &noise = golden.at("noise");
  golden.expect_within("x_t", q_sample(s, x_0, t, noise), 1e-6);
  golden.expect_within("v", training_target(s, Prediction::v, x_0, t, noise), 1e-6);
}

Tensor times(std::vector<int64_t> t) { return from_indices(t); }

TEST(LossWeights, MinSnr) {
  const Schedule s = make_schedule(ScheduleKind::linear, 1000);
  const Tensor t = times({0, 300, 999});
  const std::vector<double> eps = loss_weights(s, Prediction::eps, t).to_vector();
  for (const double weight : eps) EXPECT_EQ(weight, 1);
  for (size_t i = 0; i < 3; ++i) {
    const double snr = s.snr[size_t(t.data<int64_t>()[i])], clipped = std::min(snr, 5.0);
    EXPECT_NEAR(loss_weights(s, Prediction::eps, t, 5).to_vector()[i], clipped / snr, 1e-6);
    EXPECT_NEAR(loss_weights(s, Prediction::x0, t, 5).to_vector()[i], clipped, 1e-6);
    EXPECT_NEAR(loss_weights(s, Prediction::v, t, 5).to_vector()[i], clipped / (snr + 1), 1e-6);
  }
}

TEST(DiffusionLoss, WeightsEachSampleAndReachesTheOutput) {
  const Schedule s = make_schedule(ScheduleKind::linear, 100);
  Tensor output = full({2, 1, 2, 2}, 0.5);
  output.set_requires_grad(true);
  const Tensor target = zeros({2, 1, 2, 2}), t = times({10, 60});
  const std::vector<double> weights = loss_weights(s, Prediction::v, t, 5).to_vector();
  const Tensor loss = diffusion_loss(s, Prediction::v, output, target, t, 5);
  EXPECT_NEAR(loss.item(), 0.25 * (weights[0] + weights[1]) / 2, 1e-6);
  loss.backward();
  for (size_t i = 0; i < 8; ++i) EXPECT_NEAR(output.grad().to_vector()[i], 2 * 0.5 / 4 / 2 * weights[i / 4], 1e-6);
}

TEST(Misuse, TimeOutOfRange) {
  const Schedule s = make_schedule(ScheduleKind::linear, 100);
  EXPECT_THROW(q_sample(s, zeros({1, 1, 2, 2}), times({100}), zeros({1, 1, 2, 2})), Error);
  EXPECT_THROW(parse_prediction("noise"), Error);
}

TEST(Condition, DropsOrgansAndKeepsTheSector) {
  const Tensor masks = full({100, 3, 2, 2}, 1);
  const std::vector<double> bare = without_organs(masks).to_vector();
  for (size_t i = 0; i < bare.size(); ++i) EXPECT_EQ(bare[i], i / 4 % 3 == 2 ? 1 : 0);
  const std::vector<double> some = drop_organs(masks, 0.3, 1, 2).to_vector();
  int64_t dropped = 0;
  for (size_t n = 0; n < 100; ++n) {
    EXPECT_EQ(some[n * 12], some[n * 12 + 4]);
    EXPECT_EQ(some[n * 12 + 8], 1);
    dropped += some[n * 12] == 0;
  }
  EXPECT_NEAR(double(dropped), 30, 15);
  EXPECT_TRUE(drop_organs(masks, 0, 1, 2).same_as(masks));
}

TEST(Condition, Guide) {
  const Tensor c = full({1, 1, 2, 2}, 3), u = full({1, 1, 2, 2}, 1);
  EXPECT_EQ(guide(c, u, 1).to_vector()[0], 3);
  EXPECT_EQ(guide(c, u, 2.5).to_vector()[0], 6);
}

}  // namespace
}  // namespace echodiff
