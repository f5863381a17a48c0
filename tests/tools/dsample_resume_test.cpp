// dsample goes on where it was killed or interrupted, to the bits of the unbroken run.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "tests/tools/tiny_experiment.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class DsampleResume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_NO_FATAL_FAILURE(make_tiny_experiment(folder_->string(), {.pictures = 12, .epochs = 1, .per_class = 8}));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }
  static std::string command(const std::string& out, const std::string& more) {
    return "dsample --model " + at("model") + " --masks " + at("data") + " --scorer " + at("scorer") +
           " --seed 3 --sample-steps 8 --batch 3 --out " + at(out) + " " + more;
  }

  // Every file and its bytes, without clock times and the name of the folder.
  static std::map<std::string, std::string> contents(const std::string& out) {
    std::map<std::string, std::string> found;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(at(out))) {
      const std::string name = entry.path().lexically_relative(at(out)).string();
      if (!entry.is_regular_file() || name == "config.toml" || name == "seconds.jsonl") continue;
      found[name] = read_file(entry.path().string());
    }
    nlohmann::json summary = nlohmann::json::parse(found["summary.json"]);
    for (const char* timed : {"seconds", "images_per_second", "unet_seconds", "scorer_seconds", "unet_seconds_saved",
                              "unet_seconds_per_call_in_a_full_batch", "seconds_saved_per_calls_saved",
                              "shallow_call_cost", "whole_calls_per_accepted"})
      summary.erase(timed);
    found["summary.json"] = summary.dump(1);
    return found;
  }

  static ScratchFolder* folder_;
};
ScratchFolder* DsampleResume::folder_ = nullptr;

TEST_F(DsampleResume, EqualsTheUnbrokenRunWhereverItIsKilled) {
  int64_t killed = 0;
  const std::vector<std::string> policies{
      "--policy none --count 16 --sampler ddpm",
      "--policy posthoc --tau 0.5 --keep-discarded --accept 4 --count 60 --sampler ddim",
      "--policy paper --tau 0.502 --accept-per-mask 1 --warm-up 0 --window 1 --delta 0.0001 --count 48 --sampler ddim",
      "--policy halving --group 2 --tau 0 --count 26 --sampler ddim --eta 1 --deepcache 2",
      "--policy smc --group 2 --smc-lambda 1000 --warm-up 0 --tau 0 --count 26 --sampler ddpm"};
  for (size_t i = 0; i < policies.size(); ++i) {
    const std::string name = std::to_string(i), broken = "broken" + name;
    const double whole = seconds_of(command("whole" + name, policies[i]));
    ASSERT_GT(whole, 0) << policies[i];
    double seconds = whole / 4;
    while (true) {
      const int code = run_for(seconds, command(broken, policies[i]), killed % 3 == 2 ? "TERM" : "KILL");
      if (code == 0) break;
      ASSERT_TRUE(code == 137 || code == 143) << code << " " << policies[i];
      ++killed;
      seconds += whole / 4;
    }
    EXPECT_EQ(contents(broken), contents("whole" + name)) << policies[i];
  }
  EXPECT_GE(killed, 5);
}

TEST_F(DsampleResume, OtherSettingsOrWeightsAreRefused) {
  const std::string flags = "--policy none --count 40 --sampler ddim";
  const double whole = seconds_of(command("finished", flags));
  ASSERT_GT(whole, 0);
  ASSERT_EQ(run_for(whole / 3, command("stopped", flags)), 137);
  ASSERT_EQ(run_for(whole / 3, command("stopped", flags), "TERM"), 143);
  ASSERT_TRUE(fs::exists(at("stopped/config.toml")));
  EXPECT_EQ(run(command("stopped", "--policy none --count 41 --sampler ddim")), 73);
  EXPECT_EQ(run(command("stopped", flags + " --eta 1")), 73);
  fs::rename(at("scorer"), at("kept"));
  ASSERT_EQ(run("dtrain scorer --width 4 --epochs 1 --per-class 8 --seed 2 --labels " + at("labels.jsonl") +
                " --fill " + at("data") + " --out " + at("scorer")),
            0);
  EXPECT_EQ(run(command("stopped", flags)), 73);  // the same name, another scorer
  fs::remove_all(at("scorer"));
  fs::rename(at("kept"), at("scorer"));
  EXPECT_EQ(run(command("stopped", flags + " --threads 1")), 0);
}

TEST_F(DsampleResume, JudgesAndThresholdsAreTriedBeforeAnythingIsMade) {
  const std::string thresholds = read_file(at("thresholds.json"));
  ASSERT_EQ(run("dlabel calibrate --size 32 --images " + at("data") + " --out " + at("other.json")), 0);
  EXPECT_EQ(run(command("untouched", "--policy posthoc --count 4 --sampler ddim --thresholds " + at("other.json"))),
            65);
  EXPECT_FALSE(fs::exists(at("untouched")));
}

}  // namespace
}  // namespace echodiff
