// The guided-diffusion U-Net: outputs, gradients and activations against the original code, and the SPADE variant's
// names and gradients.
#include "nn/unet_guided.h"

#include <gtest/gtest.h>

#include <set>

#include "kernels/philox.h"
#include "nn/trace.h"
#include "tests/formula.h"
#include "tests/nn/network_checks.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

void expect_checkpoint(const std::string& name, const GuidedUnetOptions& options,
                       const std::set<std::string>& zero_gradients = {}) {
  const GoldenFile golden("unet_guided/" + name + "_io.safetensors");
  GuidedUnet network(options, 1);
  network.to(test_device());
  network.load_state_dict(formula_weights("unet_guided/" + name + "_keys.json"));
  Tensor x = golden.at("x").clone();
  x.set_requires_grad(true);
  const ActivationTrace trace;
  const Tensor y = network(x, golden.at("t"));
  y.backward(golden.at("gy"));
  golden.expect("y", y);
  golden.expect("g_x", x.grad());
  expect_parameter_gradients(golden, "", network, zero_gradients);
  for (const NamedTensor& entry : golden.content().tensors) {
    if (!entry.name.starts_with("act/")) continue;
    ASSERT_TRUE(trace.outputs().contains(entry.name.substr(4))) << entry.name;
    golden.expect(entry.name, trace.outputs().at(entry.name.substr(4)));
  }
}

TEST(GuidedUnetGolden, ScaleShiftLegacyOrderMatchesPyTorch) {
  expect_checkpoint("ssn_legacy", {.model_channels = 32,
                                   .num_res_blocks = 1,
                                   .channel_mult = {1, 2},
                                   .attention_resolutions = {2},
                                   .num_head_channels = 16,
                                   .use_scale_shift_norm = true});
}

// 32 channels in 32 groups: the norm takes away whatever the time adds to a channel, so its gradients vanish.
TEST(GuidedUnetGolden, AddedTimeNewOrderLearnedSigmaBlockResamplingMatchesPyTorch) {
  expect_checkpoint("plain_new_learnsigma_updown",
                    {.out_channels = 2,
                     .model_channels = 32,
                     .num_res_blocks = 1,
                     .channel_mult = {1, 1},
                     .attention_resolutions = {2},
                     .num_heads = 4,
                     .resblock_updown = true,
                     .use_new_attention_order = true},
                    {"input_blocks.1.0.emb_layers.1.weight", "time_embed.0.weight"});
}

// Small, with every branch in it.
GuidedUnetOptions spade_options() {
  return {.in_channels = 1,
          .model_channels = 32,
          .num_res_blocks = 1,
          .channel_mult = {1, 1},
          .attention_resolutions = {2},
          .num_heads = 2,
          .use_scale_shift_norm = true,
          .resblock_updown = true,
          .planes = 3};
}

TEST(GuidedUnetSpade, HasTheNamesOfTheSemanticDiffusionModel) {
  GuidedUnet network(spade_options(), 1);
  std::set<std::string> names;
  for (const NamedTensor& entry : network.state_dict()) names.insert(entry.name);
  for (const char* name :
       {"input_blocks.0.0.weight", "input_blocks.1.0.in_layers.0.weight", "input_blocks.2.0.in_layers.2.bias",
        "middle_block.0.in_norm.mlp_shared.0.weight", "middle_block.0.in_layers.1.weight",
        "middle_block.2.out_norm.mlp_gamma.bias", "middle_block.1.qkv.weight",
        "output_blocks.0.0.in_norm.mlp_beta.weight", "output_blocks.0.0.out_layers.2.weight",
        "output_blocks.1.2.in_layers.1.weight", "output_blocks.3.0.skip_connection.weight", "out.2.bias"})
    EXPECT_TRUE(names.contains(name)) << name;
  for (const char* name :
       {"middle_block.0.in_layers.0.weight", "output_blocks.0.0.out_layers.3.weight", "middle_block.0.in_norm.weight"})
    EXPECT_FALSE(names.contains(name)) << name;
}

TEST(GuidedUnetSpade, GradientsMatchCentralDifferences) {
  GuidedUnet network(spade_options(), 1);
  perturb_parameters(network, 0.02, 4);
  network.to(DType::f64);
  Random random(5);
  const auto normal = [&](const Shape& shape) {
    std::vector<double> values(size_t(shape.count()));
    for (double& value : values) value = random.normal();
    return from_vector(shape, values, DType::f64);
  };
  const Tensor x = normal({1, 1, 4, 4}), masks = normal({1, 3, 4, 4}), cotangent = normal({1, 1, 4, 4});
  check_parameter_gradients(network, [&] { return sum(network(x, from_indices({20}), masks) * cotangent); },
                            {.every = 10});
}

TEST(GuidedUnet, BeginsByPredictingNothing) {
  const GuidedUnet network({.in_channels = 1, .model_channels = 32, .channel_mult = {1}}, 1);
  const NoGrad no_grad;
  for (const double value : network(full({1, 1, 8, 8}, 0.5), from_indices({3})).to_vector()) EXPECT_EQ(value, 0);
}

}  // namespace
}  // namespace echodiff
