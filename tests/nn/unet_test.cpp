// The lucidrains U-Net, 2.x and 1.x: outputs, loss, every gradient and every submodule's output against PyTorch; the
// whole network's gradients in f64; batch independence; dropout.
#include "nn/unet.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/philox.h"
#include "nn/torch_import/weights_file.h"
#include "nn/trace.h"
#include "tests/formula.h"
#include "tests/nn/network_checks.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

void expect_cases(const GoldenFile& golden, Unet& network, const std::vector<std::string>& cases) {
  for (const std::string& name : cases) {
    for (NamedTensor& parameter : network.parameters()) parameter.tensor.set_grad({});
    Tensor x = golden.at(name + "/x").clone();
    x.set_requires_grad(true);
    const Tensor y = network(x, golden.at(name + "/t"));
    const Tensor loss = mse_loss(y, golden.at(name + "/target"));
    loss.backward();
    golden.expect(name + "/y", y);
    golden.expect(name + "/loss", loss);
    golden.expect(name + "/grad_input", x.grad());
    expect_parameter_gradients(golden, name + "/", network);
  }
}

TEST(UnetGolden, RmsNormCasesMatchPyTorch) {
  Unet network({.dim = 16}, 1);
  network.to(test_device());
  network.load_state_dict(formula_weights("unet_d16/keys.json"));
  expect_cases(GoldenFile("unet_d16/io.safetensors"), network, {"a", "b", "c"});
}

TEST(UnetGolden, GroupNormCasesMatchPyTorch) {
  Unet network({.dim = 16, .norm = UnetNorm::group}, 1);
  network.to(test_device());
  network.load_state_dict(formula_weights("unet_gn_d16/keys.json"));
  expect_cases(GoldenFile("unet_gn_d16/io.safetensors"), network, {"a", "b"});
}

// The softmax of q k^T stays inside the fused op: recomputed here from the norm's output.
Tensor attention_weights(Unet& network, const Tensor& normal) {
  Tensor to_qkv, mem_kv;
  for (const NamedTensor& parameter : network.parameters()) {
    if (parameter.name == "mid_attn.to_qkv.weight") to_qkv = parameter.tensor;
    if (parameter.name == "mid_attn.mem_kv") mem_kv = parameter.tensor;
  }
  const int64_t heads = 4, d = 32, L = normal.dim(2) * normal.dim(3);
  const Tensor qkv = to_tokens(conv2d(normal, to_qkv, {}));
  const Tensor q = permute(reshape(slice(qkv, 2, 0, heads * d), {L, heads, d}), {1, 0, 2});  // (heads, L, d)
  const Tensor own =
      permute(reshape(slice(qkv, 2, heads * d, 2 * heads * d), {L, heads, d}), {1, 2, 0});   // (heads, d, L)
  const Tensor memory = permute(reshape(slice(mem_kv, 0, 0, 1), {heads, 4, d}), {0, 2, 1});  // (heads, d, 4)
  const Tensor scores = matmul(q, concat({memory, own}, 2)) * (1 / std::sqrt(double(d)));
  return reshape(softmax(scores, 2), {1, heads, L, 4 + L});
}

TEST(UnetGolden, EverySubmoduleMatchesPyTorch) {
  Unet network({.dim = 16}, 1);
  network.load_state_dict(formula_weights("unet_d16/keys.json"));
  const GoldenFile golden("unet_d16/activations.safetensors");
  const NoGrad no_grad;
  const ActivationTrace trace;
  network(golden.at("x"), golden.at("t"));
  for (const NamedTensor& entry : golden.content().tensors) {
    if (!entry.name.starts_with("act/")) continue;
    const std::string name = entry.name.substr(4);
    if (name == "mid_attn.attend.attn_dropout") {
      golden.expect(entry.name, attention_weights(network, trace.outputs().at("mid_attn.norm")));
      continue;
    }
    ASSERT_TRUE(trace.outputs().contains(name)) << name;
    golden.expect(entry.name, trace.outputs().at(name));
  }
}

TEST(UnetGolden, TinyNetworkPredictsTheFirstNoise) {
  Unet network({.dim = 8, .mults = {1, 2}}, 1);
  StateDict weights;
  for (const SourceTensor& tensor : read_weights_file(golden_path("trajectory/tiny_unet_d8.pt").string()).tensors)
    weights.push_back({tensor.name, tensor.values});
  network.load_state_dict(weights);
  const GoldenFile inputs("trajectory/inputs.safetensors"), golden("trajectory/ddpm_linear.safetensors");
  const NoGrad no_grad;
  const Tensor y = network(concat({inputs.at("x_T"), inputs.at("cond")}, 1), from_indices({49, 49}));
  const std::vector<double> all = golden.at("pred_noise").to_vector(), found = y.to_vector();
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], all[i], 1e-5) << i;
}

TEST(UnetGolden, ASampleHasTheSameBitsInAnyBatch) {
  Unet network({.dim = 16}, 1);
  network.load_state_dict(formula_weights("unet_d16/keys.json"));
  const GoldenFile golden("unet_d16/io.safetensors");
  const NoGrad no_grad;
  const Tensor x = golden.at("b/x"), t = golden.at("b/t");
  const std::vector<double> together = network(x, t).to_vector();
  for (int64_t n = 0; n < x.dim(0); ++n) {
    const std::vector<double> alone = network(slice(x, 0, n, n + 1), from_indices({t.data<int64_t>()[n]})).to_vector();
    const std::vector<double> row(together.begin() + n * int64_t(alone.size()),
                                  together.begin() + (n + 1) * int64_t(alone.size()));
    EXPECT_EQ(alone, row) << "sample " << n;
  }
}

TEST(Unet, LargePicturesThatPassOneByOneHaveTheBitsOfAWholeBatch) {
  const Unet network({.dim = 64, .mults = {1, 1}, .channels = 1}, 3);
  const Tensor x = normal_rows({2, 1, 128, 128}, 5, {0, 1}, {0, 0}, Device::kCpu), t = from_indices({3, 700});
  const std::vector<double> together = network(x, t).to_vector();  // as the tape wants them
  const NoGrad no_grad;
  Tensor deep;
  EXPECT_EQ(network(x, t, &deep).to_vector(), together);
  EXPECT_EQ(network(x, t, &deep).to_vector(), together);
}

TEST(Unet, GradientsMatchCentralDifferences) {
  for (const UnetNorm norm : {UnetNorm::rms, UnetNorm::group}) {
    Unet network({.dim = 8, .mults = {1, 2}, .channels = 2, .heads = 2, .head_dim = 4, .norm = norm}, 3);
    network.to(DType::f64);
    Random random(5);
    std::vector<double> values(2 * 2 * 4 * 4);
    for (double& value : values) value = random.normal();
    const Tensor x = from_vector({2, 2, 4, 4}, values, DType::f64);
    std::vector<double> weights(2 * 4 * 4);
    for (double& value : weights) value = random.normal();
    const Tensor cotangent = from_vector({2, 1, 4, 4}, weights, DType::f64);
    check_parameter_gradients(network,
                              [&] {
                                return sum(network(x, from_indices({3, 700})) * cotangent);
                              },
                              {.every = 3});
  }
}

TEST(Unet, DropoutFollowsItsSeed) {
  Unet network({.dim = 8, .mults = {1}, .channels = 1, .dropout = 0.5}, 3);
  const NoGrad no_grad;
  const Tensor x = full({1, 1, 8, 8}, 0.5), t = from_indices({10});
  const auto run = [&](uint64_t seed) {
    network.seed_dropout(seed);
    return network(x, t).to_vector();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
  network.eval();
  EXPECT_EQ(run(1), run(2));
}

TEST(Unet, RefusesSizesItCantHalve) {
  const Unet network({.dim = 8, .channels = 1}, 3);
  EXPECT_THROW(network(zeros({1, 1, 6, 8}), from_indices({1})), Error);
  EXPECT_THROW(network(zeros({1, 2, 8, 8}), from_indices({1})), Error);
}

}  // namespace
}  // namespace echodiff
