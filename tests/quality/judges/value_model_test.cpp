// The value model: a picture's chance is its own, it sees t and the masks, survives saving, and can learn.
#include "quality/judges/value_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "tensor/ops.h"
#include "tests/scratch_folder.h"
#include "train/draws.h"
#include "train/optimizer.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 16, kT = 50;

ValueOptions small(const std::string& architecture = "film") {
  return {.architecture = architecture, .image_size = kSize, .planes = 2, .width = 8, .T = kT};
}

struct Inputs {
  Tensor images, t, condition;
};
Inputs make_inputs(int64_t n) {
  return {tanh(draw_noise(1, Draw::noise, 0, {n, 1, kSize, kSize})), draw_times(1, Draw::time, 0, n, kT),
          affine(tanh(draw_noise(2, Draw::noise, 0, {n, 2, kSize, kSize})), 0.5, 0.5)};
}

class ValueModelOf : public testing::TestWithParam<const char*> {};

TEST_P(ValueModelOf, APicturesChanceDoesNotDependOnTheBatchAndSurvivesSaving) {
  const ScratchFolder folder;
  const std::string run = folder.string();
  std::filesystem::create_directory(run + "/checkpoints");
  ValueModel model(small(GetParam()), 3);
  model.network().eval();
  for (size_t bin = 0; bin < model.calibration().size(); ++bin) model.calibration()[bin] = {0.5, 0.25 * double(bin)};
  const auto [images, t, condition] = make_inputs(5);
  const std::vector<double> together = model.score(images, t, condition);
  model.save(run, 4, {{"train.step", full({}, 4, DType::i64)}}, {});
  const ValueModel loaded = load_value_run(run);
  EXPECT_EQ(loaded.options().architecture, GetParam());
  for (int64_t i = 0; i < 5; ++i) {
    const Tensor image = slice(images, 0, i, i + 1), one = slice(condition, 0, i, i + 1);
    EXPECT_EQ(model.score(image, slice(t, 0, i, i + 1), one)[0], together[size_t(i)]);
    EXPECT_EQ(loaded.score(image, slice(t, 0, i, i + 1), one)[0], together[size_t(i)]);
  }
}
INSTANTIATE_TEST_SUITE_P(Architectures, ValueModelOf, testing::Values("film", "resnet18"));

TEST(ValueModel, SeesTheTimeAndTheMasks) {
  ValueModel model(small(), 3);
  model.network().eval();
  const auto [images, t, condition] = make_inputs(1);
  const auto logit = [&](double time, const Tensor& masks) {
    return model.logits(images, full({1}, time, DType::i64), masks).item();
  };
  const double now = logit(20, condition);
  for (const double other : {-1.0, 0.0, 19.0, 49.0}) EXPECT_NE(logit(other, condition), now) << other;
  EXPECT_NE(logit(20, affine(condition, -1, 1)), now);
}

TEST(ValueModel, CalibrationIsThatOfTheTimesBin) {
  ValueModel model(small(), 3);
  model.network().eval();
  EXPECT_EQ(model.bin_of(-1), ValueModel::kTimeBins);
  EXPECT_EQ(model.bin_of(0), 0);
  EXPECT_EQ(model.bin_of(kT - 1), ValueModel::kTimeBins - 1);
  EXPECT_THROW(model.bin_of(kT), Error);
  model.calibration()[size_t(model.bin_of(20))] = {0, std::log(3.0)};
  const auto [images, t, condition] = make_inputs(1);
  EXPECT_NEAR(model.score(images, full({1}, 20, DType::i64), condition)[0], 0.75, 1e-12);
  EXPECT_NE(model.score(images, full({1}, 40, DType::i64), condition)[0], 0.75);
}

TEST(ValueModel, RefusesOtherSizesPlanesAndKinds) {
  const ValueModel model(small(), 3);
  const auto [images, t, condition] = make_inputs(2);
  EXPECT_THROW(model.score(slice(images, 2, 0, 8), t, condition), Error);
  EXPECT_THROW(model.score(images, t, slice(condition, 1, 0, 1)), Error);
  ValueOptions other = small();
  other.on = "x";
  EXPECT_THROW(ValueModel(other, 1), Error);
  Metadata scorer{{"kind", "scorer"}};
  EXPECT_THROW(value_options(scorer, "file"), Error);
}

// Good iff bright late or dark early: neither the picture nor t alone tells.
TEST(ValueModel, OverfitsARuleOfPictureAndTime) {
  constexpr int64_t n = 16;
  ValueModel model(small(), 5);
  Tensor images = empty({n, 1, kSize, kSize}), t = empty({n}, DType::i64), targets = empty({n, 1});
  std::vector<bool> good;
  for (int64_t i = 0; i < n; ++i) {
    const bool bright = i % 2, late = i / 2 % 2;
    std::fill_n(images.mutable_data<float>() + i * kSize * kSize, kSize * kSize, bright ? 0.5f : -0.5f);
    t.mutable_data<int64_t>()[i] = late ? 2 : 45;
    good.push_back(bright == late);
    targets.mutable_data<float>()[i] = good.back() ? 1 : 0;
  }
  const Tensor condition = full({n, 2, kSize, kSize}, 1);
  Adam adam(model.network().parameters(), {});
  for (int64_t step = 0; step < 150; ++step) {
    const Tensor loss = bce_with_logits(model.logits(images, t, condition), targets);
    adam.zero_grad();
    loss.backward();
    adam.step(3e-3);
    ASSERT_TRUE(adam.finite());
  }
  model.network().eval();
  EXPECT_EQ(auroc(model.score(images, t, condition), good), 1);
  EXPECT_LT(bce_with_logits(model.logits(images, t, condition), targets).item(), 0.2);
}

}  // namespace
}  // namespace echodiff
