// Judges on the device: their scores, and what training them begins with, are the CPU's.
#include <gtest/gtest.h>

#include <cmath>

#include "cuda/fake/fake_cuda.h"
#include "kernels/cuda/backend.h"
#include "quality/judges/scorer.h"
#include "quality/judges/value_model.h"
#include "tensor/ops.h"
#include "train/draws.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 16;

Tensor pictures() { return tanh(draw_noise(1, Draw::noise, 0, {3, 1, kSize, kSize})); }

// The last number is a gradient's norm: batch norms of three values make its rounding large.
void expect_near(const std::vector<double>& found, const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], (i + 1 < found.size() ? 1e-5 : 1e-3) * (1 + std::abs(expected[i]))) << i;
}

// A judge's scores of three pictures, then the loss of a training step and its gradient's norm.
template <class Model, class Score, class Logits>
std::vector<double> numbers_of(Model& model, Device device, const Score& score, const Logits& logits) {
  model.to(device);
  model.network().eval();
  std::vector<double> numbers = score();
  model.network().train();
  const Tensor loss = bce_with_logits(logits(), from_vector({3, 1}, {1, 0, 1}).to(device));
  for (NamedTensor& parameter : model.network().parameters()) parameter.tensor.set_grad({});
  loss.backward();
  numbers.push_back(loss.item());
  numbers.push_back(clip_grad_norm(model.network().parameters(), 0).item());
  return numbers;
}

TEST(DeviceJudges, TheScorersNumbersAreTheCpus) {
  fake_cuda::reset();
  for (const char* architecture : {"resnet18", "cnn"}) {
    SCOPED_TRACE(architecture);
    const auto numbers = [&](Device device) {
      Scorer scorer({.image_size = kSize, .width = 4, .architecture = architecture}, 5);
      return numbers_of(
          scorer, device, [&] { return scorer.score(pictures()); }, [&] { return scorer.logits(pictures()); });
    };
    expect_near(numbers(Device::kCuda), numbers(Device::kCpu));
  }
  cuda::close_context();
}

TEST(DeviceJudges, TheValueModelsNumbersAreTheCpus) {
  fake_cuda::reset();
  const Tensor t = from_indices({-1, 3, 40});
  const Tensor masks = affine(tanh(draw_noise(2, Draw::noise, 0, {3, 2, kSize, kSize})), 0.5, 0.5);
  for (const char* architecture : {"film", "resnet18"}) {
    SCOPED_TRACE(architecture);
    const auto numbers = [&](Device device) {
      ValueModel model({.architecture = architecture, .image_size = kSize, .planes = 2, .width = 4, .T = 50}, 3);
      return numbers_of(
          model, device, [&] { return model.score(pictures(), t, masks); },
          [&] { return model.logits(pictures(), t, masks); });
    };
    expect_near(numbers(Device::kCuda), numbers(Device::kCpu));
  }
  cuda::close_context();
}

}  // namespace
}  // namespace echodiff
