// dweights import, export, verify as programs, and what dsample and dtrain make of an imported run.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/denoiser.h"
#include "nn/resnet18.h"
#include "tensor/io/file.h"
#include "tests/formula.h"
#include "tests/golden.h"
#include "tests/nn/network_checks.h"
#include "tests/scratch_folder.h"
#include "tests/shared.h"
#include "train/checkpoint.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// An empty folder, gone afterwards, and the programs run in it.
class Programs {
 public:
  std::string at(const std::string& name) const { return folder_.at(name); }
  // The exit code; what was said on both streams is left in `said`.
  int run(const std::string& command) {
    const std::string line =
        concat_message("cd ", folder_.string(), " && ", ECHODIFF_BIN_DIR, "/", command, " >said 2>&1");
    const int code = WEXITSTATUS(std::system(line.c_str()));
    said = read_file(at("said"));
    return code;
  }
  std::string said;

 private:
  ScratchFolder folder_;
};

class ImportedGolden : public ::testing::Test {
 protected:
  // A file of the weights that a formula gives a golden network.
  std::string weights_of(const std::string& keys) const {
    write_safetensors(programs_.at("weights.safetensors"), formula_weights(keys), {});
    return programs_.at("weights.safetensors");
  }
  static std::string golden(const std::string& file) { return golden_path(file).string(); }
  Programs programs_;
};

TEST_F(ImportedGolden, EveryCheckpointIsVerified) {
  struct Row {
    std::string file, options, io;
  };
  for (const Row& row :
       {Row{"unet_d16/keys.json", "--as lucidrains", "unet_d16/io"},
        Row{"unet_d16/keys.json", "--as lucidrains", "unet_d16/activations"},
        Row{"unet_gn_d16/keys.json", "--as lucidrains", "unet_gn_d16/io"},
        Row{"unet_guided/ssn_legacy_keys.json", "--as guided-diffusion --num-head-channels 16",
            "unet_guided/ssn_legacy_io"},
        Row{"unet_guided/plain_new_learnsigma_updown_keys.json",
            "--as guided-diffusion --num-heads 4 --attention-order new", "unet_guided/plain_new_learnsigma_updown_io"},
        Row{"unet_diffusers/default_bin", "--as diffusers", "unet_diffusers/default_bin_io"},
        Row{"unet_diffusers/scale_shift", "--as diffusers", "unet_diffusers/scale_shift_io"},
        Row{"resnet18/narrow4_legacy.pth", "--as resnet18", "resnet18/narrow4_io"}}) {
    fs::remove_all(programs_.at("run"));
    const std::string file = row.file.ends_with("keys.json") ? weights_of(row.file) : golden(row.file);
    ASSERT_EQ(programs_.run("dweights import " + file + " --out run " + row.options), 0) << programs_.said;
    EXPECT_NE(programs_.said.find("accounted for"), std::string::npos);
    EXPECT_EQ(programs_.run("dweights verify run --tolerance 1e-5 --against " + golden(row.io + ".safetensors")), 0)
        << row.file << "\n"
        << programs_.said;
  }
}

TEST_F(ImportedGolden, AWrongOrderOfQkvIsDetectedAndTheRightOneFound) {
  const std::string file = weights_of("unet_guided/ssn_legacy_keys.json");
  const std::string io = golden("unet_guided/ssn_legacy_io.safetensors");
  ASSERT_EQ(programs_.run("dweights import " + file +
                          " --as guided-diffusion --out wrong --num-head-channels 16 --attention-order new"),
            0);
  EXPECT_EQ(programs_.run("dweights verify wrong --against " + io), 1);
  EXPECT_NE(programs_.said.find("not equal, first at act/input_blocks.3"), std::string::npos) << programs_.said;
  ASSERT_EQ(programs_.run("dweights import " + file + " --as guided-diffusion --out found --against " + io), 0);
  EXPECT_NE(programs_.said.find("--attention-order legacy"), std::string::npos) << programs_.said;
  EXPECT_EQ(programs_.run("dweights verify found --against " + io), 0);
}

TEST_F(ImportedGolden, TrajectoriesFromTheCommandLine) {
  ASSERT_EQ(programs_.run("dweights import " + golden("trajectory/tiny_unet_d8.pt") +
                          " --as lucidrains --out run --timesteps 50"),
            0);
  struct Row {
    std::string options, file;
    double tolerance;
  };
  // The sampler's own steps are compared, so errors of fifty of them add up.
  for (const Row& row :
       {Row{"ddpm", "ddpm_linear", 2e-6}, Row{"ddpm --schedule cosine", "ddpm_cosine", 4e-5},
        Row{"ddpm --schedule sigmoid --predict v", "ddpm_sigmoid_v", 4e-6},
        Row{"ddpm --clip off", "ddpm_linear_noclip", 2e-6}, Row{"ddim --sample-steps 10", "ddim10_eta0", 4e-6},
        Row{"ddim --sample-steps 49 --eta 1 --schedule cosine", "ddim49_cosine_eta1", 8e-5},
        Row{"dpmpp --sample-steps 20", "dpmpp2m_20", 1e-5}}) {
    fs::remove_all(programs_.at("out"));
    ASSERT_EQ(programs_.run("dsample --model run --noise " + golden("trajectory/inputs.safetensors") +
                            " --out out --trace trace.safetensors --sampler " + row.options),
              0)
        << programs_.said;
    const SafetensorsFile trace = read_safetensors(programs_.at("trace.safetensors"));
    GoldenFile("trajectory/" + row.file + ".safetensors").expect_within("x", trace.at("x"), row.tolerance);
  }
}

TEST_F(ImportedGolden, ReplayFromTheCommandLine) {
  ASSERT_EQ(programs_.run("dtrain diffusion --timesteps 1000 --lr 1e-3 --out run --init " +
                          weights_of("trainer/keys.json") + " --replay " + golden("trainer/replay.safetensors")),
            0)
      << programs_.said;
  const std::vector<double> losses = GoldenFile("trainer/replay.safetensors").at("losses_f64").to_vector();
  std::ifstream log(programs_.at("run/log.jsonl"));
  size_t step = 0;
  for (std::string line; std::getline(log, line); ++step)
    EXPECT_NEAR(nlohmann::json::parse(line).at("loss").get<double>(), losses.at(step), 2e-6 * losses.at(step)) << step;
  EXPECT_EQ(step, losses.size());
}

// Our own replay and the Trainer's file go on alike.
TEST_F(ImportedGolden, TrainingGoesOnFromATrainersCheckpoint) {
  ASSERT_EQ(programs_.run("dweights import " + golden("trainer/model-1.pt") +
                          " --as lucidrains --image-size 16 --out theirs"),
            0);
  EXPECT_NE(programs_.said.find("Adam's state after step 12"), std::string::npos) << programs_.said;
  const std::string ema = " --ema 0.995 --ema-after 100 --ema-every 10";
  ASSERT_EQ(programs_.run("dtrain diffusion --timesteps 1000 --lr 1e-3 --out ours --init " +
                          weights_of("trainer/keys.json") + " --replay " + golden("trainer/replay.safetensors") + ema),
            0);
  // The twelve batches once more, as steps 13 to 24.
  const SafetensorsFile replay = read_safetensors(golden("trainer/replay.safetensors"));
  std::vector<NamedTensor> twice;
  for (const char* name : {"x_0", "cond", "t", "noise"})
    twice.push_back({name, concat({replay.at(name), replay.at(name)}, 0)});
  write_safetensors(programs_.at("twice.safetensors"), twice, {});
  for (const std::string run : {"ours", "theirs"})
    ASSERT_EQ(programs_.run("dtrain diffusion --resume --steps 16 --replay twice.safetensors --lr 1e-3 --timesteps "
                            "1000 --dim 8 --mults 1,2 --out " +
                            run + ema),
              0)
        << programs_.said;
  const SafetensorsFile ours = read_checkpoint(latest_checkpoint(programs_.at("ours")));
  const SafetensorsFile theirs = read_checkpoint(latest_checkpoint(programs_.at("theirs")));
  ASSERT_EQ(ours.tensors.size(), theirs.tensors.size());
  for (const NamedTensor& entry : ours.tensors) {
    const std::vector<double> a = entry.tensor.to_vector(), b = theirs.at(entry.name).to_vector();
    double largest = 0;
    for (const double value : a) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], 1e-4 * largest + 2e-5 * (entry.name[0] != 't')) << entry.name;
  }
}

TEST_F(ImportedGolden, ATrainersPartsAndOurExport) {
  const std::string file = golden("trainer/model-1.pt");
  const GoldenFile io("trainer/io.safetensors");
  for (const std::string part : {"model", "ema"}) {
    const Tensor x = concat({io.at("eval_x"), io.at("cond")}, 1);
    write_safetensors(programs_.at("io.safetensors"),
                      {{"x", x}, {"t", io.at("eval_t")}, {"y", io.at("eval_y_" + part)}}, {});
    ASSERT_EQ(programs_.run("dweights import " + file + " --as lucidrains --out " + part + " --part " + part), 0);
    EXPECT_EQ(programs_.run("dweights verify " + part + " --tolerance 1e-5 --against io.safetensors"), 0)
        << programs_.said;
    ASSERT_EQ(programs_.run("dweights export " + part + " --as lucidrains --out " + part + ".safetensors"), 0);
    ASSERT_EQ(programs_.run("dweights import " + part + ".safetensors --as lucidrains --out again" + part), 0);
    EXPECT_EQ(programs_.run("dweights verify again" + part + " --tolerance 1e-5 --against io.safetensors"), 0);
    ASSERT_EQ(programs_.run("dweights export " + part + " --dtype f16 --out " + part + ".f16.safetensors"), 0);
    EXPECT_LT(double(read_file(programs_.at(part + ".f16.safetensors")).size()),
              0.6 * double(read_file(programs_.at(part + ".safetensors")).size()));
    ASSERT_EQ(programs_.run("dweights import " + part + ".f16.safetensors --as lucidrains --out half" + part), 0);
    EXPECT_EQ(programs_.run("dweights verify half" + part + " --tolerance 5e-3 --against io.safetensors"), 0)
        << programs_.said;
    EXPECT_NE(programs_.run("dweights verify half" + part + " --tolerance 1e-6 --against io.safetensors"), 0);
  }
}

// Exported under guided-diffusion's names and imported again, in both orders of q, k and v: the same bits.
TEST(ImportedRun, GuidedLayoutComesBackBitIdentical) {
  Programs programs;
  for (const bool new_order : {false, true}) {
    DenoiserRun run;
    run.planes = {"organ", "sector"};
    run.options.architecture = "guided";
    run.options.planes = 2;
    run.options.dim = 32;
    run.options.mults = {1, 2};
    run.options.blocks = 1;
    run.options.head_dim = 16;
    run.options.attention_resolutions = {2};
    run.options.new_attention_order = new_order;
    run.options.image_size = run.image_size = 16;
    Denoiser network(run.options, 1);
    perturb_parameters(network, 0.05, 4);
    Metadata metadata = to_metadata(run);
    metadata["step"] = "0";
    const std::string name = new_order ? "new" : "legacy";
    save_checkpoint(programs.at(name), 0, network.state_dict(), metadata, 0);
    ASSERT_EQ(programs.run("dweights export " + name + " --as guided-diffusion --out " + name + ".safetensors"), 0)
        << programs.said;
    for (const std::string order : {"legacy", "new"}) {
      const std::string again = name + "_" + order;
      ASSERT_EQ(
          programs.run("dweights import " + name + ".safetensors --as guided-diffusion --num-head-channels 16 --out " +
                       again + " --attention-order " + order),
          0)
          << programs.said;
      const LoadedDenoiser loaded = load_denoiser_run(programs.at(again));
      const NoGrad no_grad;
      const Tensor x = affine(reshape(arange(256).to(DType::f32), {1, 1, 16, 16}), 0.007, -1);
      const Tensor masks = full({1, 2, 16, 16}, 1), t = from_indices({20});
      const bool same = loaded.network(x, t, masks).to_vector() == network(x, t, masks).to_vector();
      EXPECT_EQ(same, order == name) << again;
    }
  }
}

// A network of patches has channels that its weights don't explain: --patch and --patch-basis say so.
TEST(ImportedRun, PatchesComeBackBitIdentical) {
  Programs programs;
  for (const auto& [architecture, as, basis] : {std::tuple{"lucidrains", "lucidrains", "shuffle"},
                                                {"guided", "guided-diffusion --num-head-channels 16", "haar"},
                                                {"diffusers", "diffusers", "haar"}}) {
    DenoiserRun run;
    run.planes = {"organ", "sector"};
    run.options = {.architecture = architecture,
                   .planes = 2,
                   .patch = 2,
                   .patch_basis = basis,
                   .dim = 32,
                   .mults = {1, 2},
                   .head_dim = 16};
    if (as == std::string("lucidrains")) run.options.head_dim = 32;
    run.options.image_size = run.image_size = 16;
    Denoiser network(run.options, 1);
    perturb_parameters(network, 0.05, 4);
    Metadata metadata = to_metadata(run);
    metadata["step"] = "0";
    const std::string name = architecture, again = name + "_again";
    save_checkpoint(programs.at(name), 0, network.state_dict(), metadata, 0);
    const std::string out = name == "diffusers" ? name + "_out" : name + ".safetensors";
    ASSERT_EQ(programs.run("dweights export " + name + " --out " + out), 0) << programs.said;
    const std::string import = "dweights import " + out + " --image-size 16 --as " + as + " --patch-basis " + basis;
    ASSERT_EQ(programs.run(import + " --patch 2 --out " + again), 0) << programs.said;
    EXPECT_EQ(programs.run(import + " --out " + again + "_single"), basis == std::string("haar") ? 2 : 0);
    const LoadedDenoiser loaded = load_denoiser_run(programs.at(again));
    EXPECT_EQ(loaded.options.patch, 2);
    EXPECT_EQ(loaded.options.patch_basis, basis);
    const NoGrad no_grad;
    const Tensor x = affine(reshape(arange(256).to(DType::f32), {1, 1, 16, 16}), 0.007, -1);
    const Tensor masks = full({1, 2, 16, 16}, 1), t = from_indices({20});
    EXPECT_EQ(loaded.network(x, t, masks).to_vector(), network(x, t, masks).to_vector()) << name;
  }
}

TEST(ImportedRun, RefusalsNameWhatIsWrong) {
  Programs programs;
  Denoiser network({.dim = 8, .mults = {1, 2}}, 1);
  StateDict weights = network.state_dict();
  weights[0].name = "init_conv.wieght";
  weights.push_back({"discriminator.0.bias", zeros({3})});
  write_safetensors(programs.at("bad.safetensors"), weights, {});
  EXPECT_EQ(programs.run("dweights import bad.safetensors --as lucidrains --out run"), 65);
  EXPECT_NE(programs.said.find("init_conv.wieght"), std::string::npos) << programs.said;
  weights[0].name = "init_conv.weight";
  weights[5].name += "s";
  write_safetensors(programs.at("bad.safetensors"), weights, {});
  EXPECT_EQ(programs.run("dweights import bad.safetensors --as lucidrains --out run"), 65);
  EXPECT_NE(programs.said.find("discriminator.0.bias (3) (nearest"), std::string::npos) << programs.said;
  EXPECT_NE(programs.said.find(weights[5].name + " "), std::string::npos) << programs.said;
  EXPECT_EQ(programs.run("dweights import none.pt --as lucidrains --out run"), 66);
  EXPECT_EQ(programs.run("dweights import bad.safetensors --as resnet50 --out run"), 2);
  EXPECT_EQ(programs.run("dweights import bad.safetensors --as lucidrains --num-heads 2 --out run"), 2);
  EXPECT_EQ(programs.run("dweights verify none --against bad.safetensors"), 66);
  EXPECT_FALSE(fs::exists(programs.at("run")));
}

TEST(ImportedRun, TheJudgeBeginsWithTorchvisionsWeights) {
  Programs programs;
  ResNet18 network({.in_channels = 3, .classes = 10, .width = 4}, 1);
  write_safetensors(programs.at("resnet18.safetensors"), network.state_dict(), {});
  ASSERT_EQ(programs.run("dphantom --count 40 --size 16 --seed 1 --out data"), 0);
  ASSERT_EQ(programs.run("dlabel calibrate --size 16 --images data --out thresholds.json"), 0);
  ASSERT_EQ(programs.run("dlabel score --images data --thresholds thresholds.json --out labels.jsonl"), 0);
  ASSERT_EQ(programs.run("dtrain scorer --epochs 1 --per-class 20 --labels labels.jsonl --fill data --init "
                         "resnet18.safetensors --out judge"),
            0)
      << programs.said;
  EXPECT_NE(programs.said.find("summed over 3 colours"), std::string::npos) << programs.said;
  EXPECT_NE(programs.said.find("10 classes is replaced"), std::string::npos) << programs.said;
}

}  // namespace
}  // namespace echodiff
