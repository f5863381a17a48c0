// Patches: the network on squares of pixels as channels. DeepCache through the one call of both U-Nets: a shallow call
// with fresh deep features is the whole call, and one with others takes everything below the outermost level from them.
#include "nn/denoiser.h"

#include <gtest/gtest.h>

#include <string>

#include "tensor/observe.h"
#include "tests/nn/network_checks.h"

namespace echodiff {
namespace {

Denoiser denoiser(const std::string& architecture, int64_t patch = 1) {
  Denoiser network({.architecture = architecture,
                    .planes = 2,
                    .image_size = 16,
                    .patch = patch,
                    .dim = 32,
                    .mults = {1, 2},
                    .blocks = 2},
                   3);
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

// The same weights, given the squares by hand.
TEST(Patches, AreChannelsFromTheFirstConvolutionToTheLast) {
  const NoGrad no_grad;
  const Tensor x = random_rows(1, 5), t = from_indices({40, 900}), c = random_rows(2, 9);
  for (const char* architecture : {"lucidrains", "lucidrains1", "guided", "spade", "diffusers"})
    for (const int64_t patch : {2, 4})
      for (const bool learned : {false, true}) {
        const bool spade = architecture == std::string("spade");
        DenoiserOptions options{.architecture = spade ? "guided" : architecture,
                                .planes = 2,
                                .condition = spade ? "spade" : "concat",
                                .image_size = 16,
                                .patch = patch,
                                .dim = 32,
                                .mults = {1, 2},
                                .learned_variance = learned};
        Denoiser network(options, 3);
        perturb_parameters(network, 0.05, 4);
        options.patch = 1;
        options.image_channels = patch * patch;
        options.planes = 2 * patch * patch;
        options.image_size = 16 / patch;
        Denoiser inner(options, 3);
        perturb_parameters(inner, 0.05, 4);
        const Tensor expected = pixel_shuffle(inner(pixel_unshuffle(x, patch), t, pixel_unshuffle(c, patch)), patch);
        const Tensor output = network(x, t, c);
        EXPECT_EQ(output.shape(), Shape({2, learned ? 2 : 1, 16, 16}));
        EXPECT_EQ(output.to_vector(), expected.to_vector()) << architecture << " " << patch;
      }
}

TEST(Patches, GoWithDeepCache) {
  const NoGrad no_grad;
  const Tensor x = random_rows(1, 5), t = from_indices({40, 900}), c = random_rows(2, 9);
  for (const char* architecture : {"lucidrains", "guided"}) {
    const Denoiser network = denoiser(architecture, 2);
    Tensor deep;
    const std::vector<double> whole = network(x, t, c, &deep).to_vector();
    EXPECT_EQ(deep.shape()[3], 8);
    EXPECT_EQ(network(x, t, c, &deep).to_vector(), whole);
  }
}

TEST(Patches, FitTheSizeOrAreRefused) {
  for (const int64_t patch : {0, 3, 8})
    EXPECT_THROW(Denoiser({.image_size = 32, .patch = patch, .dim = 32, .mults = {1, 2}}, 3), Error) << patch;
  EXPECT_THROW(Denoiser({.image_size = 20, .patch = 4, .dim = 32, .mults = {1, 2}}, 3), Error);
}

}  // namespace
}  // namespace echodiff
