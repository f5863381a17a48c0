// A network that is told how its training pictures were augmented: without labels it answers as one that never was.
#include <gtest/gtest.h>

#include "diffusion/condition.h"
#include "nn/denoiser.h"
#include "tensor/ops.h"
#include "tests/nn/network_checks.h"

namespace echodiff {
namespace {

constexpr int64_t kLabels = 3;

DenoiserOptions options_of(const std::string& architecture, int64_t patch) {
  DenoiserOptions options;
  options.architecture = architecture;
  options.planes = 2;
  options.patch = patch;
  options.dim = 32;
  options.mults = {1, 2};
  options.augment_labels = kLabels;
  return options;
}

class AugmentLabels : public ::testing::TestWithParam<std::pair<const char*, int64_t>> {
 protected:
  const DenoiserOptions options_ = options_of(GetParam().first, GetParam().second);
  static Tensor rows(int64_t channels, uint64_t seed) {
    return normal_rows({2, channels, 16, 16}, seed, {0, 1}, {0, 0}, Device::kCpu);
  }
  static Denoiser denoiser(const DenoiserOptions& options) {
    Denoiser network(options, 3);
    perturb_parameters(network, 0.05, 4);  // the guided network begins by predicting nothing
    return network;
  }

  const Tensor x_ = rows(1, 1), masks_ = rows(2, 2);
  const Tensor t_ = from_vector({2}, {3, 7}, DType::i64);
};

TEST_P(AugmentLabels, OfZeroAreThoseLeftOut) {
  Denoiser told = denoiser(options_);
  DenoiserOptions plain_options = options_;
  plain_options.augment_labels = 0;
  Denoiser plain = denoiser(plain_options);
  plain.load_state_dict(Denoiser::without_labels(options_, told.state_dict()));
  const NoGrad no_grad;
  const Tensor without = told(x_, t_, masks_);
  const std::vector<double> expected = without.to_vector(), found = plain(x_, t_, masks_).to_vector();
  EXPECT_EQ(told(x_, t_, with_labels(masks_, full({2, kLabels}, 0))).to_vector(), expected);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-5);
}

TEST_P(AugmentLabels, AreHeardOneForEachPicture) {
  Denoiser told = denoiser(options_);
  const NoGrad no_grad;
  const std::vector<double> without = told(x_, t_, masks_).to_vector();
  const Tensor labels = from_vector({2, kLabels}, {0, 0, 0, 0.5, -1, 0});
  const std::vector<double> with = told(x_, t_, with_labels(masks_, labels)).to_vector();
  const size_t half = without.size() / 2;
  EXPECT_TRUE(std::equal(with.begin(), with.begin() + ptrdiff_t(half), without.begin()));
  EXPECT_FALSE(std::equal(with.begin() + ptrdiff_t(half), with.end(), without.begin() + ptrdiff_t(half)));
}

INSTANTIATE_TEST_SUITE_P(Networks, AugmentLabels,
                         ::testing::Values(std::pair{"lucidrains", 1}, std::pair{"guided", 2},
                                           std::pair{"diffusers", 1}));

TEST(AugmentLabelPlanes, StandBehindTheMasks) {
  const Tensor planes = with_labels(zeros({2, 1, 2, 2}), from_vector({2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(planes.shape(), (Shape{2, 3, 2, 2}));
  EXPECT_EQ(planes.to_vector(),
            (std::vector<double>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0, 0, 3, 3, 3, 3, 4, 4, 4, 4}));
  EXPECT_THROW(with_labels(zeros({2, 1, 2, 2}), zeros({1, 2})), std::exception);
}

TEST(AugmentLabelPlanes, NeedMasksThatAreChannels) {
  DenoiserOptions options = options_of("guided", 1);
  options.condition = "spade";
  EXPECT_THROW(Denoiser(options, 1), Error);
}

}  // namespace
}  // namespace echodiff
