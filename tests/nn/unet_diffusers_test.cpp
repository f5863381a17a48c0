// The U-Net of diffusers: outputs, loss and gradients against PyTorch, and what the golden files don't hold by central
// differences.
#include "nn/unet_diffusers.h"

#include <gtest/gtest.h>

#include "kernels/philox.h"
#include "tests/formula.h"
#include "tests/nn/network_checks.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

DiffusersUnetOptions golden_options() {
  return {.block_out_channels = {8, 16},
          .down_attention = {false, true},
          .up_attention = {true, false},
          .layers_per_block = 1,
          .details = {.norm_num_groups = 4}};
}

void expect_cases(const std::string& name, const DiffusersUnetOptions& options) {
  DiffusersUnet network(options, 1);
  const GoldenFile golden("unet_diffusers/" + name + "_io.safetensors");
  network.load_state_dict(formula_weights("unet_diffusers/" + name + "_keys.json"));
  for (const std::string c : {"a/", "b/"}) {
    for (NamedTensor& parameter : network.parameters()) parameter.tensor.set_grad({});
    Tensor x = golden.at(c + "x").clone();
    x.set_requires_grad(true);
    const Tensor y = network(x, golden.at(c + "t"));
    const Tensor loss = mse_loss(y, golden.at(c + "target"));
    loss.backward();
    golden.expect(c + "y", y);
    golden.expect(c + "loss", loss);
    golden.expect(c + "grad_input", x.grad());
    expect_parameter_gradients(golden, c, network);
  }
}

TEST(DiffusersUnetGolden, AddedTimeMatchesPyTorch) { expect_cases("default_bin", golden_options()); }

TEST(DiffusersUnetGolden, ScaleShiftMatchesPyTorch) {
  DiffusersUnetOptions options = golden_options();
  options.layers_per_block = 2;
  options.scale_shift = true;
  expect_cases("scale_shift", options);
}

// Everything the golden files leave at its default, at once.
TEST(DiffusersUnet, GradientsMatchCentralDifferences) {
  DiffusersUnet network({.in_channels = 2,
                         .block_out_channels = {4, 6, 6},
                         .down_attention = {false, true, false},
                         .up_attention = {false, true, false},
                         .layers_per_block = 1,
                         .attention_head_dim = 0,
                         .details = {.norm_num_groups = 2,
                                     .norm_eps = 1e-3,
                                     .flip_sin_to_cos = false,
                                     .freq_shift = 1,
                                     .downsample_padding = 0,
                                     .act_fn = "gelu",
                                     .mid_block_scale_factor = 1.5,
                                     .center_input_sample = true,
                                     .downsample_resnet = true,
                                     .upsample_resnet = true}},
                        3);
  network.to(DType::f64);
  Random random(5);
  std::vector<double> values(2 * 2 * 8 * 8), weights(2 * 8 * 8);
  for (double& value : values) value = random.normal();
  for (double& value : weights) value = random.normal();
  const Tensor x = from_vector({2, 2, 8, 8}, values, DType::f64);
  const Tensor cotangent = from_vector({2, 1, 8, 8}, weights, DType::f64);
  check_parameter_gradients(network, [&] { return sum(network(x, from_indices({3, 700})) * cotangent); }, {.every = 5});
}

// Padding 0 is a zero after the last row and column, as torch.nn.functional.pad(x, (0, 1, 0, 1)) puts it there.
TEST(DiffusersUnet, AsymmetricPaddingIsAfterTheLastRowAndColumn) {
  DiffusersResample down(2, false, 0);
  perturb_parameters(down, 0.5, 3);
  const StateDict weights = down.state_dict();
  const Tensor x = affine(reshape(arange(2 * 6 * 4).to(DType::f32), {1, 2, 6, 4}), 0.1, -2);
  const Tensor padded = concat({concat({x, zeros({1, 2, 6, 1})}, 3), zeros({1, 2, 1, 5})}, 2);  // (1, 2, 7, 5)
  const NoGrad no_grad;
  const Tensor expected = conv2d(padded, weights[0].tensor, weights[1].tensor, {.stride = {2, 2}});
  const Tensor found = down(x);
  ASSERT_EQ(found.shape(), expected.shape());
  const std::vector<double> a = found.to_vector(), b = expected.to_vector();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << i;
}

TEST(DiffusersUnet, RefusesWhatDoesNotFit) {
  EXPECT_THROW(DiffusersUnet({.details = {.act_fn = "mish"}}, 1), Error);
  EXPECT_THROW(DiffusersUnet({.block_out_channels = {32}, .down_attention = {true}, .attention_head_dim = 5}, 1),
               Error);
  const DiffusersUnet network({.block_out_channels = {32, 32}}, 1);
  EXPECT_THROW(network(zeros({1, 4, 6, 7}), from_indices({1})), Error);
}

}  // namespace
}  // namespace echodiff
