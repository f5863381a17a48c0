// Importing whole networks: every golden checkpoint without a tensor unaccounted for, its outputs and gradients as
// PyTorch's, and what a file may hold besides.
#include "nn/torch_import/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "nn/trace.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "tests/formula.h"
#include "tests/nn/network_checks.h"
#include "tests/scratch_folder.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

DenoiserImport import_golden(const std::string& file, const NetworkHints& hints = {}) {
  ImportOptions options;
  options.hints = hints;
  return import_denoiser(golden_path(file).string(), options);
}

Tensor run(const Denoiser& network, const Tensor& x, const Tensor& t) {
  const int64_t pictures = network.options().image_channels;
  return network(slice(x, 1, 0, pictures), t, slice(x, 1, pictures, x.dim(1)));
}

void expect_cases(const DenoiserImport& import, const std::string& io, const std::vector<std::string>& cases) {
  const GoldenFile golden(io);
  Denoiser network(import.options, 0);
  network.load_state_dict(import.model);
  for (const std::string& c : cases) {
    for (NamedTensor& parameter : network.parameters()) parameter.tensor.set_grad({});
    Tensor x = golden.at(c + "x").clone();
    x.set_requires_grad(true);
    const Tensor y = run(network, x, golden.at(c + "t"));
    const Tensor loss = mse_loss(y, golden.at(c + "target"));
    loss.backward();
    golden.expect(c + "y", y);
    golden.expect(c + "loss", loss);
    golden.expect(c + "grad_input", x.grad());
    expect_parameter_gradients(golden, c, network);
  }
}

void expect_same(const StateDict& a, const StateDict& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    EXPECT_EQ(a[i].tensor.to_vector(), b[i].tensor.to_vector()) << a[i].name;
  }
}

// A golden network whose weights are made by a formula, from a file of them under PyTorch's names.
DenoiserImport import_formula(const std::string& keys, const NetworkHints& hints = {}) {
  ImportOptions options;
  options.hints = hints;
  return import_denoiser(FormulaFile(keys).path(), options);
}

// The file holds, bit for bit, the formula's weights of these keys.
void expect_formula(const WeightsFile& file, const std::string& keys) {
  StateDict found;
  for (const SourceTensor& tensor : file.tensors) found.push_back({tensor.name, tensor.values});
  const auto by_name = [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; };
  StateDict expected = formula_weights(keys);
  std::ranges::sort(found, by_name);
  std::ranges::sort(expected, by_name);
  expect_same(found, expected);
}

TEST(ImportGolden, Lucidrains) {
  const DenoiserImport rms = import_formula("unet_d16/keys.json");
  EXPECT_EQ(rms.options.architecture, "lucidrains");
  EXPECT_EQ(rms.options.mults, (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(rms.options.planes, 3);
  expect_cases(rms, "unet_d16/io.safetensors", {"a/", "b/", "c/"});
  const DenoiserImport group = import_formula("unet_gn_d16/keys.json");
  EXPECT_EQ(group.options.architecture, "lucidrains1");
  expect_cases(group, "unet_gn_d16/io.safetensors", {"a/", "b/"});
  const DenoiserImport zip = import_golden("trajectory/tiny_unet_d8.pt");
  EXPECT_EQ(zip.options.mults, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(zip.model.size(), 141u);
}

TEST(ImportGolden, Diffusers) {
  const std::string bin = "unet_diffusers/default_bin", shift = "unet_diffusers/scale_shift";
  expect_formula(read_weights_file(golden_path(bin + "/diffusion_pytorch_model.bin").string()), bin + "_keys.json");
  expect_formula(read_weights_file(golden_path(shift + "/diffusion_pytorch_model.safetensors").string()),
                 shift + "_keys.json");
  expect_cases(import_golden(bin), bin + "_io.safetensors", {"a/", "b/"});
  const DenoiserImport shifted = import_golden(shift);
  EXPECT_EQ(shifted.image_size, 16);
  expect_cases(shifted, shift + "_io.safetensors", {"a/", "b/"});
}

TEST(ImportGolden, GuidedDiffusion) {
  NetworkHints hints;
  EXPECT_THROW(import_formula("unet_guided/ssn_legacy_keys.json", hints), Error);  // heads aren't in the file
  hints.num_head_channels = 16;
  const DenoiserImport legacy = import_formula("unet_guided/ssn_legacy_keys.json", hints);
  EXPECT_TRUE(legacy.options.scale_shift);
  EXPECT_EQ(legacy.options.blocks, 1);
  EXPECT_EQ(legacy.options.attention_resolutions, std::vector<int64_t>{2});
  hints = {.num_heads = 4, .num_head_channels = {}, .new_attention_order = true, .image_channels = {}};
  const DenoiserImport updown = import_formula("unet_guided/plain_new_learnsigma_updown_keys.json", hints);
  EXPECT_TRUE(updown.options.learned_variance && updown.options.resblock_updown && !updown.options.scale_shift);
  for (const auto& [import, name] : {std::pair{&legacy, "ssn_legacy"}, {&updown, "plain_new_learnsigma_updown"}}) {
    const GoldenFile golden(concat_message("unet_guided/", name, "_io.safetensors"));
    Denoiser network(import->options, 0);
    network.load_state_dict(import->model);
    Tensor x = golden.at("x").clone();
    x.set_requires_grad(true);
    const Tensor y = run(network, x, golden.at("t"));
    y.backward(golden.at("gy"));
    golden.expect("y", y);
    golden.expect("g_x", x.grad());
  }
}

TEST(ImportGolden, ResNet18ContainersAreTheSameBits) {
  const auto import = [&](const std::string& end) {
    return import_resnet18(golden_path("resnet18/narrow4" + end).string(), {});
  };
  const ResNet18Import zip = import(".pt");
  EXPECT_EQ(zip.options.width, 4);
  EXPECT_EQ(zip.options.in_channels, 3);
  const GoldenFile golden("resnet18/narrow4_io.safetensors");
  const NoGrad no_grad;
  const auto logits = [&](const StateDict& weights) {
    ResNet18 network(zip.options, 0);
    network.load_state_dict(weights);
    network.eval();
    return network(golden.at("s48/x"));
  };
  const Tensor expected = logits(zip.weights);
  golden.expect("s48/eval/logits", expected);
  expect_same(zip.weights, formula_weights("resnet18/narrow4_keys.json"));
  expect_same(zip.weights, import_resnet18(FormulaFile("resnet18/narrow4_keys.json").path(), {}).weights);
  for (const char* end : {"_legacy.pth", "_dataparallel_wrapped.pth.tar"}) {
    expect_same(zip.weights, import(end).weights);
    EXPECT_EQ(logits(import(end).weights).to_vector(), expected.to_vector()) << end;
  }
  // The half checkpoint holds the same weights rounded to 11 bits, ties to even.
  const ResNet18Import half = import("_fp16.pt");
  for (size_t i = 0; i < half.weights.size(); ++i) {
    if (zip.weights[i].tensor.dtype() == DType::i64) continue;
    const std::vector<double> full = zip.weights[i].tensor.to_vector(), rounded = half.weights[i].tensor.to_vector();
    for (size_t k = 0; k < full.size(); ++k) {
      int exponent = 0;
      std::frexp(full[k], &exponent);
      const int shift = std::min(24, 11 - exponent);  // below 2^-14 the step stays 2^-24
      EXPECT_EQ(rounded[k], std::ldexp(std::nearbyint(std::ldexp(full[k], shift)), -shift)) << half.weights[i].name;
    }
  }
  golden.expect("s48/eval/logits_from_fp16_checkpoint", logits(half.weights));
}

TEST(ImportGolden, TrainerCheckpointHasAllItsParts) {
  const std::string path = golden_path("trainer/model-1.pt").string();
  const DenoiserImport all = import_denoiser(path, {});
  EXPECT_EQ(all.step, 12);
  EXPECT_EQ(all.adam_step, 12);
  EXPECT_EQ(all.ema_step, 12);
  EXPECT_EQ(all.exp_avg.size(), 141u);
  EXPECT_EQ(all.adam_settings.at("lr"), 1e-3);
  EXPECT_EQ(all.adam_settings.at("betas.1"), 0.99);
  const GoldenFile golden("trainer/io.safetensors");
  for (const bool ema : {false, true}) {
    ImportOptions options;
    options.part = ema ? "ema" : "model";
    const DenoiserImport part = import_denoiser(path, options);
    EXPECT_TRUE(part.exp_avg.empty() && part.ema.empty());
    expect_same(part.model, ema ? all.ema : all.model);
    Denoiser network(part.options, 0);
    network.load_state_dict(part.model);
    const NoGrad no_grad;
    golden.expect(ema ? "eval_y_ema" : "eval_y_model",
                  network(golden.at("eval_x"), golden.at("eval_t"), golden.at("cond")));
  }
}

// A file of ours under PyTorch's names, gone when the test ends.
class TemporaryWeights {
 public:
  explicit TemporaryWeights(const std::vector<NamedTensor>& tensors) { write_safetensors(path(), tensors, {}); }
  std::string path() const { return folder_.at("weights.safetensors"); }

 private:
  ScratchFolder folder_;
};

DenoiserOptions guided_options() {
  DenoiserOptions options;
  options.architecture = "guided";
  options.image_channels = 3;
  options.planes = 1;
  options.dim = 32;
  options.mults = {1, 2, 3};
  options.time_dim = 64;
  options.blocks = 2;
  options.heads = 2;
  options.head_dim = 0;
  options.attention_resolutions = {2, 4};
  options.learned_variance = true;
  options.resblock_updown = true;
  options.scale_shift = false;
  return options;
}

StateDict wrapped(const std::string& prefix, StateDict weights) {
  for (NamedTensor& entry : weights) entry.name = prefix + entry.name;
  return weights;
}

StateDict perturbed(const DenoiserOptions& options) {
  Denoiser network(options, 1);
  perturb_parameters(network, 0.05, 4);
  return network.state_dict();
}

TEST(Import, ReadsTheShapeOfGuidedDiffusionOffItsWeights) {
  for (const bool updown : {false, true}) {
    DenoiserOptions options = guided_options();
    options.resblock_updown = updown;
    const StateDict weights = perturbed(options);
    const TemporaryWeights file(wrapped("module.model.", weights));
    ImportOptions hints;
    hints.hints.num_heads = 2;
    const DenoiserImport import = import_denoiser(file.path(), hints);
    EXPECT_EQ(import.options.image_channels, 3);
    EXPECT_EQ(import.options.planes, 1);
    EXPECT_EQ(import.options.mults, options.mults);
    EXPECT_EQ(import.options.time_dim, 64);
    EXPECT_EQ(import.options.blocks, 2);
    EXPECT_EQ(import.options.attention_resolutions, options.attention_resolutions);
    EXPECT_EQ(import.options.resblock_updown, updown);
    EXPECT_TRUE(import.options.learned_variance);
    EXPECT_FALSE(import.options.scale_shift);
    expect_same(import.model, weights);
  }
}

TEST(Import, SdmIsToldByItsNames) {
  DenoiserOptions options = guided_options();
  options.condition = "spade";
  options.planes = 4;
  options.time_dim = 0;
  const StateDict weights = perturbed(options);
  const TemporaryWeights file(weights);
  ImportOptions hints;
  hints.hints.num_heads = 2;
  const DenoiserImport import = import_denoiser(file.path(), hints);
  EXPECT_EQ(import.options.condition, "spade");
  EXPECT_EQ(import.options.planes, 4);
  expect_same(import.model, weights);
  EXPECT_NE(import.notes.back().find("unproven"), std::string::npos);
}

TEST(Import, OneChannelAnswersAsThreeEqualOnes) {
  const DenoiserOptions options = guided_options();
  const TemporaryWeights file(perturbed(options));
  ImportOptions hints;
  hints.hints.num_heads = 2;
  const DenoiserImport rgb = import_denoiser(file.path(), hints);
  hints.hints.image_channels = 1;
  const DenoiserImport grey = import_denoiser(file.path(), hints);
  EXPECT_EQ(grey.options.image_channels, 1);
  EXPECT_TRUE(grey.options.learned_variance);
  Denoiser colours(rgb.options, 0), single(grey.options, 0);
  colours.load_state_dict(rgb.model);
  single.load_state_dict(grey.model);
  const NoGrad no_grad;
  const Tensor x = affine(reshape(arange(64).to(DType::f32), {1, 1, 8, 8}), 0.03, -1), mask = full({1, 1, 8, 8}, 1);
  const Tensor wide = colours(concat({x, x, x}, 1), from_indices({7}), mask);  // (1, 6, 8, 8)
  const Tensor narrow = single(x, from_indices({7}), mask);                    // (1, 2, 8, 8)
  const std::vector<double> found = narrow.to_vector();
  const std::vector<double> expected =
      concat({mean(slice(wide, 1, 0, 3), {1}), mean(slice(wide, 1, 3, 6), {1})}, 1).to_vector();
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
}

TEST(Import, AClassIsKeptForGoodOnRequest) {
  DenoiserOptions options = guided_options();
  StateDict weights = perturbed(options);
  weights.push_back({"label_emb.weight", from_vector({2, 256}, std::vector<double>(512, 0.25))});
  const TemporaryWeights file(weights);
  ImportOptions hints;
  hints.hints.num_heads = 2;
  try {
    import_denoiser(file.path(), hints);
    FAIL() << "accepted a class-conditional network";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("label_emb.weight"), std::string::npos);
  }
  hints.class_label = 1;
  const DenoiserImport import = import_denoiser(file.path(), hints);
  const auto bias = [](const StateDict& state) {
    return std::ranges::find(state, "time_embed.2.bias", &NamedTensor::name)->tensor.to_vector()[3];
  };
  EXPECT_NEAR(bias(import.model), bias(weights) + 0.25, 1e-7);
  hints.class_label = 2;
  EXPECT_THROW(import_denoiser(file.path(), hints), Error);
}

TEST(Import, TorchvisionsHeadAndStemAreReplacedOnRequest) {
  ResNet18 network({.in_channels = 3, .classes = 10, .width = 4}, 1);
  network.eval();
  const TemporaryWeights file(network.state_dict());
  ImportOptions options;
  options.hints.image_channels = 1;
  options.classes = 1;
  const ResNet18Import import = import_resnet18(file.path(), options);
  ASSERT_EQ(import.options.classes, 1);
  ResNet18 grey(import.options, 0);
  grey.load_state_dict(import.weights);
  grey.eval();
  const NoGrad no_grad;
  const Tensor x = affine(reshape(arange(1024).to(DType::f32), {1, 1, 32, 32}), 0.001, 0);
  const std::vector<double> expected = network.features(concat({x, x, x}, 1)).to_vector();
  const std::vector<double> found = grey.features(x).to_vector();
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4 * (1 + std::abs(expected[i])));
}

TEST(DiffusersConfig, ReadsBackAndRefusesByName) {
  DenoiserOptions options;
  options.architecture = "diffusers";
  options.dim = 32;
  options.mults = {2, 3};
  options.blocks = 3;
  options.head_dim = 0;
  options.attention_resolutions = {2};
  options.up_attention_resolutions = std::vector<int64_t>{1};
  options.diffusers.norm_eps = 1e-6;
  options.diffusers.flip_sin_to_cos = false;
  options.diffusers.freq_shift = 1;
  options.diffusers.downsample_padding = 0;
  const std::string text = diffusers_config_text(options, 48);
  const DiffusersConfig back = parse_diffusers_config(text, "F", {});
  EXPECT_EQ(diffusers_config_text(back.options, back.sample_size), text);
  EXPECT_EQ(back.options.mults, options.mults);
  EXPECT_EQ(back.sample_size, 48);
  const DiffusersConfig defaults = parse_diffusers_config("{}", "F", {});
  EXPECT_EQ(defaults.options.head_dim, 8);
  EXPECT_EQ(defaults.options.dim * defaults.options.mults[3], 896);
  const auto refusal = [](const std::string& json) -> std::string {
    try {
      parse_diffusers_config(json, "F", {});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  for (const auto& [json, key] : {std::pair{R"({"act_fn": "mish"})", "act_fn"},
                                  {R"({"num_class_embeds": 10})", "num_class_embeds"},
                                  {R"({"class_embed_type": "timestep"})", "class_embed_type"},
                                  {R"({"time_embedding_type": "fourier"})", "time_embedding_type"},
                                  {R"({"mid_block_type": null})", "mid_block_type"},
                                  {R"({"down_block_types": ["SkipDownBlock2D"]})", "down_block_types"},
                                  {R"({"block_out_channels": [32, 64]})", "block_out_channels"},
                                  {R"({"norm_eps": "small"})", "norm_eps"},
                                  {R"({"encoder_hid_dim": 4})", "unknown keys: encoder_hid_dim"},
                                  {R"({"_class_name": "UNet2DConditionModel"})", "_class_name"},
                                  {"[1]", "JSON object"}})
    EXPECT_NE(refusal(json).find(key), std::string::npos) << json << ": " << refusal(json);
}

}  // namespace
}  // namespace echodiff
