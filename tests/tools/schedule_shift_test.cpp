// dtrain diffusion --schedule-shift, and every program that remakes the schedule from the run or from what was made
// with it: the shift goes along, and comes back through weights that can't say it.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "tests/tools/tiny_experiment.h"

namespace echodiff {
namespace {

class ShiftedRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_NO_FATAL_FAILURE(make_tiny_experiment(folder_->string(), {.training = "--predict x0 --schedule-shift 8"}));
    ASSERT_EQ(run("dweights export " + at("model") + " --out " + at("model.safetensors")), 0);
    const std::string import = "dweights import " + at("model.safetensors") + " --as lucidrains --image-size 16" +
                               " --timesteps 50 --schedule linear --predict x0 --planes liver,portal_vein,sector";
    ASSERT_EQ(run(import + " --schedule-shift 8 --out " + at("again")), 0);
    ASSERT_EQ(run(import + " --out " + at("plain")), 0);
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string at(const std::string& name) { return folder_->at(name); }
  static std::string of(const std::string& model) {
    return " --model " + at(model) + " --masks " + at("data") + " --seed 3 --count 4 --sampler ddim --sample-steps 5";
  }
  static nlohmann::json json(const std::string& name) { return nlohmann::json::parse(read_file(at(name))); }
  static std::string picture(const std::string& out) { return read_file(at(out + "/images/000000.png")); }

  static constexpr double kShift = -1.3862943611198906;  // of 16 pixels: 2 log(8 / 16)
  static ScratchFolder* folder_;
};
ScratchFolder* ShiftedRun::folder_ = nullptr;

TEST_F(ShiftedRun, ComesBackThroughDweights) {
  EXPECT_NE(read_file(at("again/config.toml")).find("\nschedule-shift = 8\n"), std::string::npos);
  EXPECT_EQ(read_file(at("plain/config.toml")).find("shift"), std::string::npos);
  for (const char* model : {"model", "again", "plain"})
    ASSERT_EQ(run("dsample" + of(model) + " --out " + at(std::string("of_") + model)), 0);
  EXPECT_EQ(picture("of_again"), picture("of_model"));
  EXPECT_NE(picture("of_plain"), picture("of_model"));
  EXPECT_EQ(json("of_model/summary.json").at("log_snr_shift"), kShift);
  EXPECT_FALSE(json("of_plain/summary.json").contains("log_snr_shift"));
}

TEST_F(ShiftedRun, IsRecordedReplayedAndLearned) {
  ASSERT_EQ(run("dsample record" + of("model") + " --judge clean=" + at("scorer") + " --thresholds " +
                at("thresholds.json") + " --out " + at("rec")),
            0);
  EXPECT_EQ(read_recording_facts(at("rec")).log_snr_shift, kShift);
  ASSERT_EQ(run("dsample replay " + at("rec") + " --policy posthoc --tau 0 --judge clean --out " + at("replayed")), 0);
  EXPECT_EQ(json("replayed/summary.json").at("log_snr_shift"), kShift);
}

// The grid on log-SNR is laid out on the shifted schedule, and so is what begins below the last time.
TEST_F(ShiftedRun, IsInTheGridAndTheMeanStart) {
  for (const char* model : {"model", "again", "plain"})
    ASSERT_EQ(run("dsample --model " + at(model) + " --masks " + at("data") + " --seed 3 --count 2 --sampler unipc" +
                  " --sample-steps 4 --grid logsnr --mean-start 2 --out " + at(std::string("grid_") + model)),
              0);
  EXPECT_EQ(picture("grid_again"), picture("grid_model"));
  EXPECT_NE(picture("grid_plain"), picture("grid_model"));
}

}  // namespace
}  // namespace echodiff
