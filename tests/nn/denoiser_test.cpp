// DeepCache through the one call of both U-Nets: a shallow call with fresh deep features is the whole call, and one
// with others takes everything below the outermost level from them.
#include "nn/denoiser.h"

#include <gtest/gtest.h>

#include <string>

#include "tensor/observe.h"
#include "tests/nn/network_checks.h"

namespace echodiff {
namespace {

Denoiser denoiser(const std::string& architecture) {
  Denoiser network(
      {.architecture = architecture, .planes = 2, .image_size = 16, .dim = 32, .mults = {1, 2}, .blocks = 2}, 3);
  perturb_parameters(network, 0.05, 4);  // the guided network begins by predicting nothing
  return network;
}

Tensor random_rows(int64_t channels, uint64_t seed) {
  return normal_rows({2, channels, 16, 16}, seed, {0, 1}, {0, 0}, Device::kCpu);
}

class DeepCache : public ::testing::TestWithParam<const char*> {
 protected:
  const Denoiser network_ = denoiser(GetParam());
  const Tensor t_ = from_indices({40, 900}), condition_ = random_rows(2, 9);
  const NoGrad no_grad_;
};

TEST_P(DeepCache, FreshFeaturesGiveTheWholeCall) {
  const Tensor x = random_rows(1, 5);
  Tensor deep;
  const std::vector<double> whole = network_(x, t_, condition_).to_vector();
  EXPECT_EQ(network_(x, t_, condition_, &deep).to_vector(), whole);
  EXPECT_EQ(deep.shape(), Shape({2, GetParam() == std::string("guided") ? 64 : 32, 16, 16}));
  EXPECT_EQ(network_(x, t_, condition_, &deep).to_vector(), whole);
}

TEST_P(DeepCache, AShallowCallTakesTheRestFromTheFeatures) {
  Tensor deep, other;
  const Tensor x = random_rows(1, 5), later = random_rows(1, 6);
  network_(x, t_, condition_, &deep);
  network_(later, t_, condition_, &other);
  const std::vector<double> features = deep.to_vector(), shallow = network_(later, t_, condition_, &deep).to_vector();
  EXPECT_EQ(deep.to_vector(), features);
  EXPECT_NE(shallow, network_(later, t_, condition_).to_vector());
  EXPECT_NE(shallow, network_(x, t_, condition_).to_vector());
  EXPECT_EQ(network_(later, t_, condition_, &other).to_vector(), network_(later, t_, condition_).to_vector());
}

TEST_P(DeepCache, AShallowCallLeavesOutTheDeepLevels) {
  const auto attentions = [&](Tensor& deep) {
    OpTimer timer;
    network_(random_rows(1, 5), t_, condition_, &deep);
    return timer.entries().count("attention");
  };
  Tensor deep;
  EXPECT_EQ(attentions(deep), 1u);  // in the middle
  EXPECT_EQ(attentions(deep), 0u);
}

INSTANTIATE_TEST_SUITE_P(Architectures, DeepCache, ::testing::Values("lucidrains", "lucidrains1", "guided"));

TEST(DeepCacheRefusal, NeedsTwoLevelsAndOneOfTwoNetworks) {
  for (const char* architecture : {"lucidrains", "guided"})
    EXPECT_THROW(Denoiser({.architecture = architecture, .dim = 32, .mults = {1}}, 3).check_has_deep_levels(), Error);
  EXPECT_THROW(Denoiser({.architecture = "diffusers", .dim = 32}, 3).check_has_deep_levels(), Error);
}

}  // namespace
}  // namespace echodiff
