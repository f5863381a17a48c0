// dtrain ema: an average of a length chosen after the run, whatever the run was broken off at, and its mistakes.
#include <gtest/gtest.h>

#include <filesystem>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/checkpoint.h"
#include "train/power_ema.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class EmaOfALength : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(train("whole", "--steps 24"), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }
  static int train(const std::string& out, const std::string& more, const std::string& snapshots = "5") {
    return run("dtrain diffusion --data " + at("data") +
               " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50" +
               " --lr 3e-3 --val-every 0 --sample-every 0 --save-every 3 --ema-snapshots " + snapshots + " --out " +
               at(out) + " " + more);
  }

  static ScratchFolder* folder_;
};
ScratchFolder* EmaOfALength::folder_ = nullptr;

TEST_F(EmaOfALength, SnapshotsAreTheSameWhereverTheRunWasBrokenOff) {
  EXPECT_EQ(snapshots_of(at("whole")), (std::vector<int64_t>{5, 10, 15, 20, 24}));
  for (const char* at_step : {"5", "7", "15"}) {
    const std::string out = std::string("broken") + at_step;
    ASSERT_EQ(train(out, std::string("--steps ") + at_step), 0);
    fs::remove(at(out) + "/ema/snapshot-00000007.safetensors");  // of that run's last step
    ASSERT_EQ(train(out, "--steps 24 --resume"), 0);
    EXPECT_EQ(snapshots_of(at(out)), snapshots_of(at("whole")));
    for (const int64_t step : snapshots_of(at("whole"))) {
      const std::string name = fs::path(read_snapshot(at(out), step).path).filename();
      EXPECT_EQ(read_file(at(out + "/ema/" + name)), read_file(at("whole/ema/" + name))) << out << " " << name;
    }
    EXPECT_EQ(read_file(latest_checkpoint(at(out))), read_file(latest_checkpoint(at("whole"))));
  }
}

TEST_F(EmaOfALength, ChangesNoWeightOfTheRun) {
  ASSERT_EQ(train("without", "--steps 24", "0"), 0);
  EXPECT_FALSE(fs::exists(at("without/ema")));
  const SafetensorsFile without = read_checkpoint(latest_checkpoint(at("without")));
  const SafetensorsFile with = read_checkpoint(latest_checkpoint(at("whole")));
  for (const NamedTensor& entry : without.tensors)
    EXPECT_EQ(entry.tensor.to_vector(), with.at(entry.name).to_vector()) << entry.name;
  EXPECT_EQ(run("dtrain ema " + at("without") + " --length 0.1"), 66);
  EXPECT_EQ(train("without", "--steps 30 --resume", "5"), 2);  // they would begin in the midst
}

TEST_F(EmaOfALength, IsWhatTheFileHasAndIsSampledFrom) {
  ASSERT_EQ(run("dtrain ema " + at("whole") + " --length 0.15"), 0);
  const SafetensorsFile made = read_checkpoint(at("whole/ema/length-0.15.safetensors"));
  EXPECT_EQ(made.metadata.at("ema_length"), "0.15");
  EXPECT_EQ(made.metadata.at("step"), "24");
  const std::vector<NamedTensor> expected = average_of_length(at("whole"), 0.15, 24);
  for (const auto& [name, tensor] : expected) EXPECT_EQ(made.at(name).to_vector(), tensor.to_vector()) << name;
  EXPECT_EQ(run("dsample --model " + made.path + " --masks " + at("data") + " --policy none --sampler ddim" +
                " --sample-steps 2 --count 2 --out " + at("samples")),
            0);
}

TEST_F(EmaOfALength, OfSeveralIsThatOfTheLeastHeldOutLoss) {
  const std::string said = at("said");
  const std::string line = std::string(ECHODIFF_BIN_DIR) + "/dtrain ema " + at("whole") +
                           " --length 0.02,0.1,0.28 --val-count 2 --data " + at("data") + " --out " + at("best") +
                           " >" + said;
  ASSERT_EQ(std::system(line.c_str()), 0);
  std::istringstream table(read_file(said));
  std::string word, length, loss, least_length;
  double least = 1e9;
  int lines = 0;
  for (; table >> word >> length >> word >> loss; ++lines)
    if (std::stod(loss) < least) least = std::stod(loss), least_length = length;
  EXPECT_EQ(lines, 3);
  EXPECT_EQ(read_checkpoint(at("best")).metadata.at("ema_length"), least_length);
}

TEST_F(EmaOfALength, MistakesAreRefused) {
  for (const char* wrong : {" --length 0.3", " --length 0", " --length 0.1,0.2", " --length x", " --length nan"})
    EXPECT_EQ(run("dtrain ema " + at("whole") + wrong), 2) << wrong;
  EXPECT_EQ(run("dtrain ema " + at("whole") + " --length 0.1 --step 7"), 66);
  EXPECT_EQ(run("dtrain ema " + at("nowhere") + " --length 0.1"), 66);
}

}  // namespace
}  // namespace echodiff
