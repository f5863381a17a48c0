// Adam and AdamW step by step against torch.optim, gradient clipping, learning rates, state that is saved.
#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tensor/autograd.h"
#include "tests/golden.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

constexpr double kTolerance = 8 * 2.5e-7;  // relative to the largest element; the file's own errors are about 2.5e-7

Tensor row(const Tensor& all, int64_t step) {  // all (S, ...) -> its entry `step`
  const PoolVector<int64_t>& sizes = all.shape().sizes();
  const Shape shape(std::vector<int64_t>(sizes.begin() + 1, sizes.end()));
  return from_values(shape, all.data<float>() + step * shape.count());
}

class OptimizerGolden : public ::testing::Test {
 protected:
  // Runs the twelve steps and compares the parameters after each and the state at the end.
  void run(const std::string& name, const AdamOptions& options, double lr) {
    const GoldenFile golden("ops/optimizers.safetensors");
    std::vector<NamedTensor> parameters;
    for (const char* i : {"0", "1"}) parameters.push_back({i, golden.at(std::string("p0/") + i).clone()});
    Adam optimizer(parameters, options);
    std::vector<std::vector<double>> history(2);
    for (int64_t step = 0; step < 12; ++step) {
      for (NamedTensor& p : parameters) p.tensor.set_grad(row(golden.at("grads/" + p.name), step));
      optimizer.step(lr);
      EXPECT_TRUE(optimizer.finite());
      for (size_t i = 0; i < 2; ++i)
        for (const double x : parameters[i].tensor.to_vector()) history[i].push_back(x);
    }
    for (size_t i = 0; i < 2; ++i) {
      const std::string key = name + "/p_after_each_step/" + parameters[i].name;
      golden.expect_within(key, from_vector(golden.at(key).shape(), history[i]), kTolerance);
    }
    for (const NamedTensor& state : optimizer.state()) {
      if (state.name == "step") continue;
      const size_t dot = state.name.find('.');
      const std::string key = name + "/state_" + state.name.substr(0, dot) + "/" + state.name.substr(dot + 1);
      ASSERT_TRUE(golden.contains(key)) << key;
      golden.expect_within(key, state.tensor, kTolerance);
    }
  }
};

TEST_F(OptimizerGolden, Adam) { run("adam", {}, 0.01); }
TEST_F(OptimizerGolden, AdamBeta099) { run("adam_b099", {.beta2 = 0.99}, 0.001); }
TEST_F(OptimizerGolden, AdamL2) { run("adam_l2", {.weight_decay = 0.1}, 0.01); }
TEST_F(OptimizerGolden, AdamAmsgrad) { run("adam_amsgrad", {.amsgrad = true}, 0.01); }
TEST_F(OptimizerGolden, AdamEps) { run("adam_eps", {.eps = 1e-3}, 0.01); }
TEST_F(OptimizerGolden, AdamW) { run("adamw", {.weight_decay = 0.1, .decoupled = true}, 0.01); }
TEST_F(OptimizerGolden, AdamWDefault) { run("adamw_default", {.weight_decay = 0.01, .decoupled = true}, 0.001); }

TEST_F(OptimizerGolden, ClipGradNorm) {
  const GoldenFile golden("ops/optimizers.safetensors");
  for (const auto& [name, max_norm] : std::map<std::string, double>{{"clip_1.0", 1.0}, {"clip_1000", 1000.0}}) {
    std::vector<NamedTensor> parameters;
    for (const char* i : {"0", "1"}) {
      parameters.push_back({i, golden.at(std::string("p0/") + i).clone()});
      parameters.back().tensor.set_grad(row(golden.at(std::string("grads/") + i), 0));
    }
    const double norm = clip_grad_norm(parameters, max_norm).item();
    golden.expect_within(name + "/norm", from_vector({}, {norm}), kTolerance);
    for (const NamedTensor& p : parameters) golden.expect_within(name + "/g/" + p.name, p.tensor.grad(), kTolerance);
  }
}

TEST(Optimizer, ClippingLeavesASharedGradientAlone) {
  const Tensor shared = from_vector({2}, {3, 4});
  std::vector<NamedTensor> parameters{{"a", zeros({2})}, {"b", zeros({2})}};
  for (NamedTensor& p : parameters) p.tensor.set_grad(shared);
  const double norm = clip_grad_norm(parameters, 1).item();
  EXPECT_NEAR(norm, std::sqrt(50.0), 1e-12);
  for (const NamedTensor& p : parameters) EXPECT_NEAR(p.tensor.grad().to_vector()[0], 3 / norm, 1e-6);
}

TEST(Optimizer, StepReportsAWeightThatIsNoNumber) {
  std::vector<NamedTensor> parameters{{"a", full({3}, 1)}};
  Adam adam(parameters, {});
  parameters[0].tensor.set_grad(full({3}, 1));
  adam.step(0.1);
  EXPECT_TRUE(adam.finite());
  adam.step(1e39);
  EXPECT_FALSE(adam.finite());
}

TEST(Optimizer, SavedStateGoesOnWithTheSameBits) {
  const auto train = [](std::vector<NamedTensor>& parameters, Adam& adam, int64_t from, int64_t to) {
    for (int64_t step = from; step < to; ++step) {
      parameters[0].tensor.set_grad(from_vector({3}, {0.1 * double(step), -1, 0.5}));
      adam.step(0.01);
    }
  };
  std::vector<NamedTensor> whole{{"w", full({3}, 1)}};
  Adam unbroken(whole, {.amsgrad = true});
  train(whole, unbroken, 0, 5);
  std::vector<NamedTensor> first{{"w", full({3}, 1)}};
  Adam before(first, {.amsgrad = true});
  train(first, before, 0, 2);
  SafetensorsFile saved;
  for (const NamedTensor& entry : before.state()) saved.tensors.push_back({"train." + entry.name, entry.tensor});
  std::vector<NamedTensor> second{{"w", first[0].tensor.clone()}};
  Adam after(second, {.amsgrad = true});
  after.load_state(saved, "train.");
  train(second, after, 2, 5);
  EXPECT_EQ(whole[0].tensor.to_vector(), second[0].tensor.to_vector());
  std::vector<NamedTensor> other{{"w", full({4}, 1)}};
  EXPECT_THROW(Adam(other, {}).load_state(saved, "train."), Error);
}

TEST(LearningRate, WarmsUpThenHoldsOrFalls) {
  const LearningRateOptions constant{.rate = 1, .warmup = 4};
  EXPECT_DOUBLE_EQ(learning_rate(constant, 0), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 3), 1);
  EXPECT_DOUBLE_EQ(learning_rate(constant, 1000), 1);
  const LearningRateOptions cosine{.rate = 1, .warmup = 0, .cosine = true, .total = 10, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 0), 1);
  EXPECT_NEAR(learning_rate(cosine, 5), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate(cosine, 10), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate(cosine, 99), 0.1, 1e-12);
}

}  // namespace
}  // namespace echodiff
