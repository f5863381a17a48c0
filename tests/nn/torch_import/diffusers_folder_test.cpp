// What diffusers saves beside a network, extra tensors beside a model, and networks that look like ours and aren't.
#include "nn/torch_import/diffusers_folder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "nn/torch_import/import.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "tests/nn/network_checks.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

std::string refusal(const auto& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput) << error.what();
    return error.what();
  }
  return "accepted";
}

DenoiserOptions small_unet2d() {
  DenoiserOptions options;
  options.architecture = "diffusers";
  options.planes = 0;
  options.dim = 4;
  options.mults = {1, 1};
  options.blocks = 1;
  options.attention_resolutions = {};
  options.diffusers.norm_num_groups = 4;
  options.diffusers.add_attention = false;
  return options;
}

class DiffusersFolderTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.at(name); }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    write_file_atomic(at(name), text);
  }
  // A network as save_pretrained writes it; its first weights are `value`.
  void save(const std::string& folder, double value, const std::string& more_keys = "") const {
    std::string config = diffusers_config_text(small_unet2d(), 16);
    config.insert(1, more_keys);
    write(folder + "/config.json", config);
    Denoiser network(small_unet2d(), 1);
    StateDict weights = network.state_dict();
    weights[0].tensor = full(weights[0].tensor.shape(), value);
    write_safetensors(at(folder + "/diffusion_pytorch_model.safetensors"), weights, {});
  }
  DenoiserImport import(const std::string& path, const std::string& part = "") const {
    ImportOptions options;
    options.as = "diffusers";
    options.part = part;
    return import_denoiser(at(path), options);
  }
  static double first_of(const StateDict& weights) { return weights.at(0).tensor.to_vector().at(0); }
  // The file of a lucidrains or other network.
  DenoiserImport import_file(const StateDict& weights, const NetworkHints& hints = {}) const {
    write_safetensors(at("weights.safetensors"), weights, {});
    ImportOptions options;
    options.hints = hints;
    return import_denoiser(at("weights.safetensors"), options);
  }

  ScratchFolder folder_;
};

constexpr const char* kAverage = R"("decay": 0.9999, "inv_gamma": 1.0, "min_decay": 0.0, "optimization_step": 34,
  "power": 0.75, "update_after_step": 0, "use_ema_warmup": true,)";

TEST_F(DiffusersFolderTest, TheSchedulerIsFoundBesideAndAbove) {
  save("pipe/unet", 1);
  write("pipe/scheduler/scheduler_config.json", R"({"_class_name": "DDPMScheduler", "num_train_timesteps": 20,
    "beta_schedule": "squaredcos_cap_v2", "prediction_type": "v_prediction", "variance_type": "fixed_large"})");
  for (const char* path : {"pipe", "pipe/unet", "pipe/unet/", "pipe/unet/diffusion_pytorch_model.safetensors"}) {
    const DenoiserImport found = import(path);
    ASSERT_TRUE(found.scheduler.has_value()) << path;
    EXPECT_EQ(found.scheduler->betas.size(), 20u);
    EXPECT_EQ(found.scheduler->prediction, "v");
    EXPECT_EQ(found.scheduler->variance, "beta");
  }
  save("alone", 1);
  EXPECT_FALSE(import("alone").scheduler.has_value());
  write("alone/scheduler_config.json", "{}");
  EXPECT_EQ(import("alone").scheduler->betas.size(), 1000u);
}

TEST_F(DiffusersFolderTest, ASchedulersBetasAreDiffusersOwn) {
  const auto betas = [](const std::string& keys) {
    return parse_diffusers_scheduler("{" + keys + R"("num_train_timesteps": 4})", "F").betas;
  };
  // By the formulas of diffusers' schedulers, worked out apart.
  const std::vector<double> linear = betas(""), scaled = betas(R"("beta_schedule": "scaled_linear",)");
  const std::vector<double> cosine = betas(R"("beta_schedule": "squaredcos_cap_v2",)");
  const std::vector<double> sigmoid = betas(R"("beta_schedule": "sigmoid",)");
  const std::vector<std::vector<double>> expected{{0.0001, 0.00673333, 0.01336667, 0.02},
                                                  {0.0001, 0.00289521, 0.00952854, 0.02},
                                                  {0.15298784, 0.41695809, 0.70785871, 0.999},
                                                  {0.00014921, 0.00247212, 0.01762788, 0.01995079}};
  const std::vector<std::vector<double>> found{linear, scaled, cosine, sigmoid};
  for (size_t i = 0; i < found.size(); ++i)
    for (size_t t = 0; t < 4; ++t) EXPECT_NEAR(found[i].at(t), expected[i][t], 5e-6) << i << " " << t;
  EXPECT_EQ(parse_diffusers_scheduler(R"({"trained_betas": [0.1, 0.2]})", "F").betas, (std::vector<double>{0.1, 0.2}));
}

TEST_F(DiffusersFolderTest, OtherSchedulersAreRefusedByName) {
  for (const auto& [json, key] : {std::pair{R"({"_class_name": "FlowMatchEulerDiscreteScheduler"})", "_class_name"},
                                  {R"({"beta_schedule": "laplace"})", "beta_schedule"},
                                  {R"({"prediction_type": "flow_prediction"})", "prediction_type"},
                                  {R"({"variance_type": "learned"})", "variance_type"},
                                  {R"({"rescale_betas_zero_snr": true})", "rescale_betas_zero_snr"},
                                  {R"({"num_train_timesteps": 0})", "num_train_timesteps"},
                                  {R"({"num_train_timesteps": 9000000000})", "num_train_timesteps"},
                                  {R"({"beta_end": 1.5})", "beta_end"},
                                  {R"({"trained_betas": []})", "trained_betas"},
                                  {R"({"use_flow_sigmas": true})", "use_flow_sigmas"}})
    EXPECT_NE(refusal([&] { parse_diffusers_scheduler(json, "F"); }).find(key), std::string::npos) << json;
}

TEST_F(DiffusersFolderTest, AnEmaModelsFolderIsImportedWithANote) {
  save("unet_ema", 2, kAverage);
  const DenoiserImport alone = import("unet_ema");
  EXPECT_EQ(alone.ema_step, 34);
  ASSERT_EQ(alone.notes.size(), 1u);
  EXPECT_NE(alone.notes[0].find("moving average of 34 steps"), std::string::npos);
  // A training script's checkpoint has both.
  save("checkpoint-9/unet", 1);
  save("checkpoint-9/unet_ema", 2, kAverage);
  const DenoiserImport both = import("checkpoint-9");
  EXPECT_EQ(first_of(both.model), 1);
  EXPECT_EQ(first_of(both.ema), 2);
  EXPECT_EQ(both.ema_step, 34);
  EXPECT_TRUE(import("checkpoint-9", "model").ema.empty());
  EXPECT_EQ(first_of(import("checkpoint-9", "ema").model), 2);
  fs::remove_all(at("checkpoint-9/unet"));
  EXPECT_EQ(first_of(import("checkpoint-9").model), 2);
}

TEST_F(DiffusersFolderTest, TensorsBesideTheModelAreLeftOutAndSaid) {
  Denoiser network({.dim = 8, .mults = {1, 2}}, 1);
  StateDict weights;
  for (const NamedTensor& entry : network.state_dict()) weights.push_back({"model." + entry.name, entry.tensor});
  weights.push_back({"latents_mean", zeros({3})});
  weights.push_back({"discriminator.0.weight", zeros({2, 2})});
  const DenoiserImport import = import_file(weights);
  ASSERT_EQ(import.notes.size(), 1u);
  EXPECT_NE(import.notes[0].find("2 tensors beside the model: latents_mean, discriminator.0.weight"),
            std::string::npos);
  weights.push_back({"model.head.weight", zeros({2, 2})});  // of the model: not left out
  EXPECT_NE(refusal([&] { import_file(weights); }).find("head.weight"), std::string::npos);
}

TEST_F(DiffusersFolderTest, SelfConditioningIsNoMask) {
  Denoiser network({.planes = 1, .dim = 8, .mults = {1, 2}}, 1);
  const StateDict weights = network.state_dict();
  EXPECT_NE(refusal([&] { import_file(weights); }).find("self-conditioning"), std::string::npos);
  NetworkHints hints;
  hints.mask_planes = true;
  EXPECT_EQ(import_file(weights, hints).options.planes, 1);
  Denoiser masks({.planes = 2, .dim = 8, .mults = {1, 2}}, 1);
  EXPECT_EQ(import_file(masks.state_dict()).options.planes, 2);
}

TEST_F(DiffusersFolderTest, NetworksOfOthersAreNamed) {
  const auto with = [](const std::vector<std::string>& names) {
    StateDict weights;
    for (const std::string& name : names) weights.push_back({name, zeros({4, 4, 1, 1})});
    return weights;
  };
  const StateDict monai =
      with({"conv_in.conv.weight", "time_embed.0.weight", "down_blocks.0.resnets.0.conv1.conv.weight"});
  EXPECT_NE(refusal([&] { import_file(monai); }).find("MONAI's DiffusionModelUNet"), std::string::npos);
  for (const StateDict& old :
       {with({"init_conv.weight", "downs.0.0.block1.proj.weight", "downs.0.2.fn.fn.to_qkv.weight",
              "mid_block1.block1.proj.weight", "mid_attn.fn.fn.to_qkv.weight", "final_conv.weight"}),
        with({"downs.0.0.block1.block.0.weight", "mid_block1.block1.block.0.weight", "final_conv.1.weight"})})
    EXPECT_NE(refusal([&] { import_file(old); }).find("older than 1.9"), std::string::npos);
}

}  // namespace
}  // namespace echodiff
