// A step after the first ones allocates nothing: neither by operator new, nor does the pool ask the system.
#include <gtest/gtest.h>

#include "kernels/memory_pool.h"
#include "nn/resnet18.h"
#include "nn/unet.h"
#include "tensor/ops.h"
#include "tests/allocation_counter.h"
#include "train/ema.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

const UnetOptions kOptions{.dim = 32, .mults = {1, 2}, .channels = 3, .out_channels = 1};

// Of one call of `step`, after three.
template <class Step> void expect_no_allocations(Step step) {
  for (int i = 0; i < 3; ++i) step();
  const int64_t segments = memory_statistics().system_allocations;
  const AllocationCounter counter;
  step();
  EXPECT_EQ(counter.count(), 0);
  EXPECT_EQ(memory_statistics().system_allocations, segments);
}

TEST(Allocations, NoneInATrainingStepOfTheUnet) {
  Unet network(kOptions, 1), averaged(kOptions, 1);
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam adam(parameters, {});
  Ema ema(network.state_dict(), averaged.state_dict(), {});
  const Tensor x = normal_rows({2, 3, 32, 32}, 1, {0, 1}, {0, 0}), y = normal_rows({2, 1, 32, 32}, 2, {0, 1}, {0, 0}),
               t = from_indices({3, 500});
  expect_no_allocations([&] {
    adam.zero_grad();
    mse_loss(network(x, t), y).backward();
    clip_grad_norm(parameters, 1);
    adam.step(1e-4);
    ema.update();
  });
}

TEST(Allocations, NoneInASamplingStepOfTheUnet) {
  const Unet network(kOptions, 1);
  const Tensor x = normal_rows({2, 3, 32, 32}, 1, {0, 1}, {0, 0}), t = from_indices({3, 500});
  const NoGrad no_grad;
  expect_no_allocations([&] { network(x, t); });
}

TEST(Allocations, NoneInATrainingStepOfResNet18) {
  ResNet18 network({.width = 16}, 1);
  const std::vector<NamedTensor> parameters = network.parameters();
  Adam adam(parameters, {});
  const Tensor x = normal_rows({2, 1, 64, 64}, 1, {0, 1}, {0, 0}), labels = from_vector({2, 1}, {0, 1});
  expect_no_allocations([&] {
    adam.zero_grad();
    bce_with_logits(network(x), labels).backward();
    adam.step(1e-4);
  });
}

}  // namespace
}  // namespace echodiff
