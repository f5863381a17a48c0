// Samplers of few steps as dsample has them: grids, what trajectories begin with there, the noise that is kept at the
// end, and the choice of a grid.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "tests/tools/tiny_experiment.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class DsampleGrid : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_NO_FATAL_FAILURE(make_tiny_experiment(folder_->string(), {.training = "--predict x0"}));
    write_file_atomic(at("grid.json"), R"({"kind": "grid", "timesteps": 50, "times": [48, 41, 24, 8, 2]})");
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string at(const std::string& name) { return folder_->at(name); }
  static std::string model() { return " --model " + at("model") + " --masks " + at("data") + " --seed 3"; }
  static int sample(const std::string& out, const std::string& more) {
    return run("dsample" + model() + " --out " + at(out) + " " + more);
  }
  // Picture names and their bytes.
  static std::map<std::string, std::string> pictures(const std::string& out) {
    std::map<std::string, std::string> found;
    if (fs::exists(at(out) + "/images"))
      for (const fs::directory_entry& entry : fs::directory_iterator(at(out) + "/images"))
        found[entry.path().filename().string()] = read_file(entry.path().string());
    return found;
  }
  static nlohmann::json summary(const std::string& out) {
    return nlohmann::json::parse(read_file(at(out) + "/summary.json"));
  }

  static ScratchFolder* folder_;
};
ScratchFolder* DsampleGrid::folder_ = nullptr;

// Four steps, the first below the last time.
const std::string kLow = "--sampler unipc --sample-steps 4 --grid logsnr ";

TEST_F(DsampleGrid, FewStepsOnAGridOfAnyKind) {
  write_file_atomic(at("other.json"), R"({"kind": "grid", "timesteps": 2000, "times": [1900, 80]})");
  for (const std::string sampler : {"ddim", "dpmpp", "unipc"}) {
    const std::string common = "--count 4 --sampler " + sampler;
    ASSERT_EQ(sample("even" + sampler, common + " --sample-steps 5"), 0);
    ASSERT_EQ(sample("logsnr" + sampler, common + " --sample-steps 5 --grid logsnr --batch 1"), 0);
    ASSERT_EQ(sample("logsnr_3" + sampler, common + " --sample-steps 5 --grid logsnr --batch 3 --threads 2"), 0);
    ASSERT_EQ(sample("file" + sampler, common + " --grid " + at("grid.json")), 0);
    EXPECT_EQ(pictures("logsnr" + sampler).size(), 4u);
    EXPECT_EQ(pictures("logsnr" + sampler), pictures("logsnr_3" + sampler));
    EXPECT_NE(pictures("logsnr" + sampler), pictures("even" + sampler));
    EXPECT_NE(pictures("logsnr" + sampler), pictures("file" + sampler));
  }
  EXPECT_NE(pictures("logsnrunipc"), pictures("logsnrdpmpp"));
  EXPECT_EQ(sample("no", "--count 4 --sampler ddpm --sample-steps 5 --grid logsnr"), 2);
  const std::string dpmpp = "--count 4 --sampler dpmpp";
  EXPECT_EQ(sample("no", dpmpp + " --grid log-snr"), 2);
  EXPECT_EQ(sample("no", dpmpp + " --sample-steps 5 --grid logsnr --grid-start 0.1 --grid-end 0.5"), 2);
  EXPECT_EQ(sample("no", dpmpp + " --sample-steps 3 --grid " + at("grid.json")), 2);
  EXPECT_EQ(sample("no", dpmpp + " --grid " + at("other.json")), 65);
  EXPECT_FALSE(fs::exists(at("no")));
}

TEST_F(DsampleGrid, AMeanStartIsTheSameWhateverRunsBesideIt) {
  ASSERT_EQ(sample("whole", kLow + "--count 18"), 0);
  const std::map<std::string, std::string> whole = pictures("whole");
  EXPECT_EQ(whole.size(), 18u);
  ASSERT_EQ(sample("four", kLow + "--count 18 --mean-start 4 --batch 1 --threads 1"), 0);
  EXPECT_EQ(pictures("four"), whole);
  ASSERT_EQ(sample("batch3", kLow + "--count 18 --batch 3 --threads 2"), 0);
  EXPECT_EQ(pictures("batch3"), whole);
  std::map<std::string, std::string> together;
  for (const std::string shard : {"0", "1", "2"}) {
    ASSERT_EQ(sample("mean_shard" + shard, kLow + "--count 18 --shard " + shard + "/3"), 0);
    together.merge(pictures("mean_shard" + shard));
  }
  EXPECT_EQ(together, whole);
  ASSERT_EQ(sample("some", kLow + "--count 18 --policy random --discard-rate 0.5 --tau 0 --scorer " + at("scorer")), 0);
  EXPECT_LT(pictures("some").size(), 18u);
  for (const auto& [name, bytes] : pictures("some")) EXPECT_EQ(bytes, whole.at(name)) << name;
  ASSERT_EQ(sample("noise_start", kLow + "--count 18 --mean-start 0"), 0);
  EXPECT_NE(pictures("noise_start"), whole);
  ASSERT_EQ(sample("eight", kLow + "--count 18 --mean-start 8"), 0);
  EXPECT_NE(pictures("eight"), whole);
}

TEST_F(DsampleGrid, ARunWithAMeanStartGoesOn) {
  const std::string flags = kLow + "--count 90 --batch 5 --masks " + at("few"), few = at("few");
  for (const char* part : {"images", "masks", "sector"}) {
    fs::create_directories(few + "/" + part);
    for (const char* file : {"000000.png", "000001.png", "000002.png"})
      fs::copy_file(at("data/") + part + "/" + file, few + "/" + part + "/" + file);
  }
  fs::copy_file(at("data/dataset.json"), few + "/dataset.json");
  const std::string command = "dsample --model " + at("model") + " --seed 3 " + flags + " --out ";
  const double whole = seconds_of(command + at("unbroken"));
  ASSERT_GT(whole, 0);
  int64_t killed = 0;
  for (double seconds = whole / 4; run_for(seconds, command + at("broken")) != 0; seconds += whole / 4) ++killed;
  EXPECT_GE(killed, 1);
  EXPECT_EQ(pictures("broken"), pictures("unbroken"));
  EXPECT_EQ(read_file(at("broken/samples.jsonl")), read_file(at("unbroken/samples.jsonl")));
  for (const char* key : {"unet_calls", "mean_start", "mean_start_calls", "mean_grey", "mean_grey_of_data"})
    EXPECT_EQ(summary("broken").at(key), summary("unbroken").at(key)) << key;
  EXPECT_EQ(summary("unbroken")["unet_calls"], 90 * 4 + 3 * 4);
  EXPECT_EQ(summary("unbroken")["mean_start_calls"], 3 * 4);
  EXPECT_EQ(summary("unbroken")["calls_saved"], 0);
  const std::string first = read_file(at("unbroken/samples.jsonl"));
  EXPECT_NE(first.find(R"("unet_calls":8,"mean_start_calls":4)"), std::string::npos);
  EXPECT_EQ(run(command + at("broken") + " --mean-start 8"), 73);
}

TEST_F(DsampleGrid, MeanGreyIsMeasuredInsideOfTheSector) {
  ASSERT_EQ(sample("grey", kLow + "--count 6"), 0);
  double samples = 0, real = 0;
  for (int i = 0; i < 6; ++i) {
    const std::string name = "/00000" + std::to_string(i) + ".png";
    const GrayImage sector = read_png(at("data/sector") + name);
    const auto mean = [&](const std::string& path) {
      const GrayImage image = read_png(path);
      double sum = 0, inside = 0;
      for (size_t k = 0; k < image.pixels.size(); ++k)
        if (sector.pixels[k] != 0) sum += image.pixels[k], ++inside;
      return sum / inside / 6;
    };
    samples += mean(at("grey/images") + name);
    real += mean(at("data/images") + name);
  }
  EXPECT_NEAR(double(summary("grey")["mean_grey"]), samples, 1e-9);
  EXPECT_NEAR(double(summary("grey")["mean_grey_of_data"]), real, 1e-9);
  ASSERT_EQ(sample("top", "--count 2 --sampler dpmpp --sample-steps 3"), 0);
  EXPECT_FALSE(summary("top").contains("mean_grey"));  // it begins at the last time
  // Said, with a warning for a network that has learnt nothing.
  const std::string said = at("said.txt"), command = std::string(ECHODIFF_BIN_DIR) + "/dsample" + model() + " " + kLow;
  ASSERT_EQ(std::system((command + "--count 12 --out " + at("told") + " 2> " + said).c_str()), 0);
  EXPECT_NE(read_file(said).find("of real pictures of these masks"), std::string::npos) << read_file(said);
  EXPECT_NE(read_file(said).find("warning: "), std::string::npos) << read_file(said);
  ASSERT_EQ(std::system((command + "--count 1 --out " + at("told_of_one") + " 2> " + said).c_str()), 0);
  EXPECT_EQ(read_file(said).find("warning: "), std::string::npos) << read_file(said);  // one mask says little
}

TEST_F(DsampleGrid, AMeanStartIsRecordedAndRulesKnowIt) {
  const std::string rec = at("rec"), rule = at("rule.json"), judge = " --judge clean=" + at("scorer");
  const std::string record = "dsample record" + model() + " " + kLow + "--count 80 --thresholds " +
                             at("thresholds.json") + judge + " --out " + rec;
  ASSERT_EQ(run(record), 0);
  EXPECT_EQ(run(record + " --mean-start 0"), 73);  // another experiment
  EXPECT_EQ(run(record + " --mean-start 2"), 73);
  const Recording recording = read_recording(rec, false);
  EXPECT_EQ(recording.facts.mean_start, 4);
  std::vector<float> scores;
  for (const Trajectory& trajectory : recording.trajectories) scores.push_back(trajectory.scores[0].back());
  std::sort(scores.begin(), scores.end());
  const std::string tau = " --tau " + std::to_string(scores[40]);
  ASSERT_EQ(run("dsample fit " + rec + " --judge clean --looks -1,0,1" + tau + " --out " + rule), 0);
  const std::string live = kLow + "--count 80 --scorer " + at("scorer") + tau;
  for (const std::string& policy :
       {std::string("posthoc"), "restart --rule " + rule, std::string("screen --group 2")}) {
    const std::string name = policy.substr(0, 5);
    ASSERT_EQ(sample("live" + name, live + " --policy " + policy), 0) << policy;
    ASSERT_EQ(
        run("dsample replay " + rec + " --judge clean" + tau + " --out " + at("sim" + name) + " --policy " + policy), 0)
        << policy;
    EXPECT_EQ(read_file(at("live" + name) + "/samples.jsonl"), read_file(at("sim" + name) + "/samples.jsonl"));
    EXPECT_EQ(pictures("live" + name), pictures("sim" + name)) << policy;
    EXPECT_EQ(summary("sim" + name)["unet_calls"], summary("live" + name)["unet_calls"]);
    EXPECT_EQ(summary("sim" + name)["mean_start_calls"], summary("live" + name)["mean_start_calls"]);
  }
  EXPECT_EQ(sample("x", live + " --mean-start 0 --policy restart --rule " + rule), 2);
  ASSERT_EQ(run("dsample fit-exits" + model() + " " + kLow + "--count 8 --out " + at("exits.json")), 0);
  EXPECT_EQ(sample("x", kLow + "--count 4 --mean-start 0 --adadiff " + at("exits.json")), 2);
  EXPECT_EQ(sample("exits", kLow + "--count 4 --adadiff " + at("exits.json")), 0);
}

TEST_F(DsampleGrid, AMeanStartWithoutAPlaceIsRefused) {
  const int64_t planes = 3;
  write_safetensors(
      at("noise.safetensors"),
      {{"x_T", zeros({2, 1, 16, 16})}, {"noise", zeros({5, 2, 1, 16, 16})}, {"cond", full({2, planes, 16, 16}, 1)}},
      {});
  EXPECT_EQ(sample("x", "--count 2 --sampler dpmpp --sample-steps 3 --mean-start 4"), 2);
  EXPECT_EQ(
      sample("x", "--count 2 --sampler ddim --sample-steps 3 --mean-start 4 --policy es-ddpm --scorer " + at("scorer")),
      2);
  const std::string given = "dsample --model " + at("model") + " " + kLow + "--noise " + at("noise.safetensors");
  EXPECT_EQ(run(given + " --mean-start 4 --out " + at("x")), 2);
  EXPECT_FALSE(fs::exists(at("x")));
  ASSERT_EQ(run(given + " --out " + at("given")), 0);
  EXPECT_EQ(summary("given")["mean_start"], 0);
}

TEST_F(DsampleGrid, KeptNoiseIsInTheSectorAndNoJudgeSeesIt) {
  const std::string flags = kLow + "--count 8 --policy posthoc --tau 0 --scorer " + at("scorer");
  ASSERT_EQ(sample("clean", flags), 0);
  ASSERT_EQ(sample("noisy", flags + " --keep-noise 0.5"), 0);
  EXPECT_EQ(read_file(at("clean/samples.jsonl")), read_file(at("noisy/samples.jsonl")));
  EXPECT_EQ(summary("noisy")["keep_noise"], 0.5);
  for (int i = 0; i < 8; ++i) {
    const std::string name = "/00000" + std::to_string(i) + ".png";
    const GrayImage clean = read_png(at("clean/images") + name), noisy = read_png(at("noisy/images") + name),
                    sector = read_png(at("data/sector") + name);
    EXPECT_NE(clean.pixels, noisy.pixels) << name;
    EXPECT_EQ(clean.pixels, read_png(at("noisy/scored") + name).pixels) << name;
    for (size_t k = 0; k < clean.pixels.size(); ++k)
      if (sector.pixels[k] == 0) {
        EXPECT_EQ(clean.pixels[k], noisy.pixels[k]) << name;
      }
  }
  EXPECT_FALSE(fs::exists(at("clean/scored")));
  EXPECT_EQ(sample("x", flags + " --keep-noise 0.5 --keep x0hat"), 2);
  EXPECT_EQ(run("dsample record" + model() + " --count 2 --keep-noise 0.5 --out " + at("x")), 2);
}

TEST_F(DsampleGrid, AScorerLearnsFromWhatJudgesSee) {
  ASSERT_EQ(sample("shown", kLow + "--count 40 --keep-noise 1"), 0);
  const std::string labels = at("shown/labels.jsonl");
  ASSERT_EQ(run("dlabel score --images " + at("shown") + " --thresholds " + at("thresholds.json") + " --out " + labels),
            0);
  const std::string train =
      "dtrain scorer --width 4 --epochs 1 --per-class 20 --labels " + labels + " --fill " + at("data") + " --out ";
  const auto weights = [&](const std::string& run) { return read_file(latest_checkpoint(at(run))); };
  ASSERT_EQ(run(train + at("of_scored")), 0);
  fs::rename(at("shown/scored"), at("shown/aside"));
  ASSERT_EQ(run(train + at("of_images")), 0);
  fs::remove_all(at("shown/images"));
  fs::rename(at("shown/aside"), at("shown/images"));
  ASSERT_EQ(run(train + at("as_images")), 0);
  EXPECT_NE(weights("of_scored"), weights("of_images"));
  EXPECT_EQ(weights("of_scored"), weights("as_images"));
}

TEST_F(DsampleGrid, FitGridWritesWhatGridTakes) {
  const std::string base = "dsample fit-grid --model " + at("model") + " --data " + at("data") + " --features " +
                           at("scorer") + " --seed 3 --count 9 --ends 0.04 ",
                    fit = base + "--neighbours 1 --calls 2,3 --starts 1,0.9";
  ASSERT_EQ(run(fit + " --batch 4 --out " + at("fitted.json")), 0);
  ASSERT_EQ(run(fit + " --batch 1 --threads 1 --out " + at("again.json")), 0);
  EXPECT_EQ(read_file(at("fitted.json")), read_file(at("again.json")));
  const nlohmann::json grid = nlohmann::json::parse(read_file(at("fitted.json")));
  EXPECT_EQ(grid["kind"], "grid");
  EXPECT_EQ(grid["timesteps"], 50);
  ASSERT_EQ(grid["measured"].size(), 6u);
  EXPECT_EQ(grid["measured"][0]["calls"], 2);          // begins at the last time
  EXPECT_EQ(grid["measured"][1]["calls"], 2);          // below it, by noise alone
  EXPECT_GT(double(grid["measured"][2]["calls"]), 2);  // and here masks' means are asked for
  const size_t steps = grid["times"].size();
  ASSERT_EQ(sample("on_it", "--count 4 --sampler dpmpp --grid " + at("fitted.json")), 0);
  EXPECT_EQ(summary("on_it")["sample_steps"], steps);
  EXPECT_EQ(summary("on_it")["mean_start"], grid["mean_start"]);
  EXPECT_EQ(run(fit + " --sampler ddpm --out " + at("x.json")), 2);
  EXPECT_EQ(run(base + "--neighbours 1 --starts 0.01 --out " + at("x.json")), 2);  // ends above
  EXPECT_EQ(run(base + "--neighbours 1 --calls 2.5 --out " + at("x.json")), 2);
  EXPECT_EQ(run(base + "--neighbours 1 --mean-starts -1 --out " + at("x.json")), 2);
  EXPECT_EQ(run(base + "--neighbours 8 --out " + at("x.json")), 65);  // too few pictures held out
  EXPECT_EQ(run(base + "--neighbours 9 --out " + at("x.json")), 2);   // and sampled
  EXPECT_EQ(run(fit + " --grid " + at("grid.json") + " --out " + at("x.json")), 2);
  EXPECT_FALSE(fs::exists(at("x.json")));
}

}  // namespace
}  // namespace echodiff
