// The weights of the least validation loss: which they are, that a run that goes on has the same, and who takes them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint_names.h"
#include "train/run_status.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class BestOfARun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(train("whole", "--steps 24"), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }

  // A rate so high that the least loss isn't the last.
  static std::string command(const std::string& out, const std::string& more, const std::string& val_count) {
    return "dtrain diffusion --data " + at("data") + " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50" +
           " --lr 3e-2 --ema 0.5 --val-every 2 --val-count " + val_count + " --sample-every 0 --save-every 3 --out " +
           at(out) + " " + more;
  }
  static int train(const std::string& out, const std::string& more, const std::string& val_count = "2") {
    return run(command(out, more, val_count));
  }
  // What a program says, and its exit code.
  static std::string said(const std::string& line, int* code) {
    const std::string whole = std::string(ECHODIFF_BIN_DIR) + "/" + line + " >" + at("said") + " 2>&1";
    *code = WEXITSTATUS(std::system(whole.c_str()));
    return read_file(at("said"));
  }
  static std::vector<std::pair<int64_t, double>> losses(const std::string& out) {
    std::vector<std::pair<int64_t, double>> found;
    std::istringstream log(read_file(at(out + "/log.jsonl")));
    for (std::string line; std::getline(log, line);) {
      const nlohmann::json object = nlohmann::json::parse(line);
      if (object.contains("val_loss")) found.emplace_back(object["step"], object["val_loss"]);
    }
    return found;
  }

  static ScratchFolder* folder_;
};
ScratchFolder* BestOfARun::folder_ = nullptr;

TEST_F(BestOfARun, IsThatOfTheLeastLoggedLoss) {
  std::pair<int64_t, double> least{0, 1e9};
  for (const auto& each : losses("whole"))
    if (each.second < least.second) least = each;
  ASSERT_LT(least.first, 24) << "the last one is the best: this run tries nothing";
  const std::string best = best_checkpoint(at("whole"));
  EXPECT_EQ(fs::path(best).filename(), checkpoint_name(kBestHead, least.first));
  const SafetensorsFile file = read_checkpoint(best);
  EXPECT_EQ(file.metadata.at("step"), std::to_string(least.first));
  EXPECT_EQ(file.metadata.at(kValidationLoss), number_text(least.second));
  EXPECT_EQ(read_run_status(at("whole")).best, best);
  // They are the averaged weights of that step.
  ASSERT_EQ(train("there", "--steps " + std::to_string(least.first)), 0);
  const SafetensorsFile then = read_checkpoint(latest_checkpoint(at("there")));
  ASSERT_GT(file.tensors.size(), 0u);
  for (const auto& [name, tensor] : file.tensors) EXPECT_EQ(tensor.to_vector(), then.at("ema." + name).to_vector());
}

TEST_F(BestOfARun, IsTheSameWhereverTheRunWasBrokenOff) {
  for (const char* at_step : {"1", "4", "9", "15"}) {
    const std::string out = std::string("broken") + at_step;
    ASSERT_EQ(train(out, std::string("--steps ") + at_step), 0);
    // What a kill after the last save may leave: the best of a step that the run will have again.
    fs::copy_file(best_checkpoint(at("whole")), at(out + "/checkpoints/best-00000023.safetensors"));
    ASSERT_EQ(train(out, "--steps 24 --resume"), 0);
    EXPECT_EQ(fs::path(best_checkpoint(at(out))).filename(), fs::path(best_checkpoint(at("whole"))).filename());
    EXPECT_EQ(read_file(best_checkpoint(at(out))), read_file(best_checkpoint(at("whole")))) << at_step;
    EXPECT_EQ(read_file(latest_checkpoint(at(out))), read_file(latest_checkpoint(at("whole")))) << at_step;
  }
}

TEST_F(BestOfARun, OfOtherPicturesIsNotCompared) {
  fs::copy(at("whole"), at("counted"), fs::copy_options::recursive);
  ASSERT_EQ(train("counted", "--steps 26 --resume", "1"), 0);
  const std::string best = fs::path(best_checkpoint(at("counted"))).filename();  // of 24, looked at anew, or of 26
  EXPECT_GE(step_in(kBestHead, best).value(), 24) << best;
}

TEST_F(BestOfARun, IsTakenUnlessToldOtherwise) {
  const std::string best = best_checkpoint(at("whole")), newest = latest_checkpoint(at("whole"));
  const std::string sampling =
      " --masks " + at("data") + " --sampler ddim --sample-steps 2 --count 2 --policy none --model " + at("whole");
  for (const auto& [flag, file] : {std::pair<std::string, std::string>{"", best}, {" --best off", newest}}) {
    int code = -1;
    const std::string out = flag.empty() ? "best" : "newest";
    const std::string line = said("dsample" + sampling + flag + " --out " + at(out), &code);
    ASSERT_EQ(code, 0) << line;
    EXPECT_EQ(line.find("of the least validation loss") != std::string::npos, flag.empty()) << line;
    EXPECT_NE(read_file(at(out + "/config.toml")).find("model = \"" + file_hash(file) + "\""), std::string::npos);
    ASSERT_EQ(run("dsample record" + sampling.substr(0, sampling.find(" --policy")) + " --model " + at("whole") + flag +
                  " --out " + at("rec_" + out)),
              0);
    const nlohmann::json recording = nlohmann::json::parse(read_file(at("rec_" + out + "/recording.json")));
    EXPECT_EQ(recording["model_hash"], file_hash(file));
    ASSERT_EQ(run("dweights export " + at("whole") + flag + " --out " + at(out + ".safetensors")), 0);
  }
  // Weights of that file, under the same names in the averaged part of any other checkpoint.
  const std::vector<NamedTensor> wanted = read_checkpoint(best).tensors;
  const SafetensorsFile exported = read_safetensors(at("best.safetensors"));
  for (const auto& [name, tensor] : wanted) EXPECT_EQ(exported.at(name).to_vector(), tensor.to_vector());
  EXPECT_NE(read_file(at("best.safetensors")), read_file(at("newest.safetensors")));
  EXPECT_EQ(run("dsample" + sampling + " --ema off --out " + at("raw")), 0);  // the newest raw ones
  EXPECT_NE(read_file(at("raw/config.toml")).find(file_hash(newest)), std::string::npos);
  EXPECT_EQ(run("dsample" + sampling + " --best off --out " + at("best")), 73);  // that folder has others' pictures
}

}  // namespace
}  // namespace echodiff
