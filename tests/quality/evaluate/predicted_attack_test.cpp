// The attack by a diffusion network: which state it is asked about, and that its clamped answer is the picture.
#include "quality/evaluate/attacks.h"

#include <gtest/gtest.h>

#include "diffusion/diffusion.h"
#include "tensor/ops.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

constexpr int64_t kSide = 16, kT = 20;

std::vector<Example> make_examples(int64_t count) {
  std::vector<Example> examples;
  for (int64_t i = 0; i < count; ++i) {
    Example& example = examples.emplace_back();
    example.image = {kSide, kSide, std::vector<uint8_t>(kSide * kSide, uint8_t(10 * i))};
    example.planes.assign(2, {kSide, kSide, std::vector<uint8_t>(kSide * kSide, 1)});
    example.planes[0].pixels[size_t(i)] = 0;
  }
  return examples;
}

std::vector<const Example*> pointers(const std::vector<Example>& examples) {
  std::vector<const Example*> out;
  for (const Example& example : examples) out.push_back(&example);
  return out;
}

TEST(PredictedAttack, TheNetworkSeesThePictureNoisedToTheMiddle) {
  const std::vector<Example> examples = make_examples(11);  // more than a batch
  const Schedule schedule = make_schedule(ScheduleKind::cosine, kT);
  const Network echo = [](const Tensor& x, const Tensor& t, const Tensor&) {
    for (const double one : t.to_vector()) EXPECT_EQ(one, kT / 2 - 1);
    return x;
  };
  const std::vector<GrayImage> images = predicted_attack(echo, schedule, Prediction::x0, pointers(examples), 3);
  ASSERT_EQ(images.size(), 11u);
  for (const int64_t i : {0, 10}) {
    std::vector<float> noise(kSide * kSide);
    default_noise(3)(i, 0, noise.data(), kSide * kSide);
    const Tensor x = q_sample(schedule, to_tensor({&examples[size_t(i)].image}), from_indices({kT / 2 - 1}),
                              from_values({1, 1, kSide, kSide}, noise.data()));
    EXPECT_EQ(images[size_t(i)].pixels, to_gray(x.data<float>(), kSide, kSide).pixels);
  }
}

TEST(PredictedAttack, ItsAnswerForTheMaskIsClampedToThePicture) {
  const std::vector<Example> examples = make_examples(11);
  const Network paints = [](const Tensor&, const Tensor&, const Tensor& condition) {
    return affine(slice(condition, 1, 0, 1), 6, -3);  // -3 or 3: beyond black and white
  };
  const std::vector<GrayImage> images =
      predicted_attack(paints, make_schedule(ScheduleKind::linear, kT), Prediction::x0, pointers(examples), 3);
  for (size_t i = 0; i < images.size(); ++i) {
    std::vector<uint8_t> expected(kSide * kSide, 255);
    expected[i] = 0;
    EXPECT_EQ(images[i].pixels, expected);
  }
}

}  // namespace
}  // namespace echodiff
