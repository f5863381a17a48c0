// Training on MPI's ranks: the bits of one process, whichever way it is resumed; a rank that dies ends the job.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <regex>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/checkpoint.h"
#include "train/checkpoint_names.h"

namespace echodiff {
namespace {

// A shell command's exit code; what it says on stderr goes to the file.
int shell(const std::string& command, const std::string& said = "/dev/null") {
  return WEXITSTATUS(std::system((command + " >/dev/null 2>" + said).c_str()));
}
bool has_mpi() { return ECHODIFF_WITH_MPI && shell("command -v mpirun") == 0; }

class SlowRanks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_mpi()) GTEST_SKIP() << "no MPI in this build, or no mpirun";
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + folder_.at("data")), 0);
  }

  static std::string on(int ranks, const std::string& program) {
    const std::string bin = std::string(ECHODIFF_BIN_DIR) + "/";
    if (ranks == 1) return bin + program + " --quiet";
    return "mpirun --oversubscribe -n " + std::to_string(ranks) + " " + bin + program + " --quiet";
  }
  // Of so many steps, with something due each quarter of them.
  std::string diffusion(const std::string& out, int64_t steps, const std::string& more = "", int64_t whole = 20) {
    const std::string quarter = std::to_string(whole / 4);
    return "dtrain diffusion --image-size 16 --dim 8 --mults 1,2 --batch 8 --micro-batches 4 --timesteps 50 --flip "
           "--dropout 0.1 --mask-drop 0.2 --val-count 2 --sample-count 2 --sample-steps 2 --ema-snapshots " +
           quarter + " --val-every " + quarter + " --sample-every " + quarter + " --save-every " + quarter +
           " --data " + folder_.at("data") + " --steps " + std::to_string(steps) + " --out " + folder_.at(out) + " " +
           more;
  }
  std::string scorer(const std::string& out, const std::string& more = "") {
    return "dtrain scorer --width 8 --per-class 16 --batch 8 --micro-batches 4 --epochs 5 --save-every 2 --labels " +
           folder_.at("labels.jsonl") + " --fill " + folder_.at("data") + " --out " + folder_.at(out) + " " + more;
  }
  std::string weights(const std::string& out) { return file_hash(latest_checkpoint(folder_.at(out))); }
  std::string log(const std::string& out) {
    return std::regex_replace(read_file(folder_.at(out + "/log.jsonl")), std::regex(", \"seconds\": [^,}]*"), "");
  }

  ScratchFolder folder_;
};

TEST_F(SlowRanks, HaveTheBitsOfOneProcess) {
  for (const int ranks : {1, 2, 4}) {
    const std::string out = "d" + std::to_string(ranks);
    ASSERT_EQ(shell(on(ranks, diffusion(out, 20))), 0) << ranks;
    EXPECT_EQ(weights(out), weights("d1")) << ranks;
    EXPECT_EQ(log(out), log("d1")) << ranks;
  }
  ASSERT_EQ(shell(on(2, diffusion("half", 10))), 0);
  for (const int ranks : {1, 4}) {
    const std::string out = "resumed" + std::to_string(ranks);
    std::filesystem::copy(folder_.at("half"), folder_.at(out), std::filesystem::copy_options::recursive);
    ASSERT_EQ(shell(on(ranks, diffusion(out, 20, "--resume"))), 0) << ranks;
    EXPECT_EQ(weights(out), weights("d1")) << ranks;
    EXPECT_EQ(log(out), log("d1")) << ranks;
  }
}

TEST_F(SlowRanks, OfTheScorerTooWithItsRunningStatistics) {
  ASSERT_EQ(
      run("dlabel calibrate --size 16 --images " + folder_.at("data") + " --out " + folder_.at("thresholds.json")), 0);
  ASSERT_EQ(run("dlabel score --images " + folder_.at("data") + " --thresholds " + folder_.at("thresholds.json") +
                " --out " + folder_.at("labels.jsonl")),
            0);
  for (const int ranks : {1, 2, 4}) {
    const std::string out = "s" + std::to_string(ranks);
    ASSERT_EQ(shell(on(ranks, scorer(out))), 0) << ranks;
    EXPECT_EQ(weights(out), weights("s1")) << ranks;
    EXPECT_EQ(log(out), log("s1")) << ranks;
  }
}

TEST_F(SlowRanks, EndTogetherWhenOneIsKilledAndGoOn) {
  const std::string said = folder_.at("said");
  ASSERT_EQ(shell(on(1, diffusion("whole", 80, "", 80))), 0);
  const std::string kill_one =
      "until test -e " + folder_.at("killed/checkpoints/latest") +
      "; do sleep 0.1; done; kill -9 $(pgrep -f 'dtrain diffusion.*" + folder_.at("killed") +
      "' | while read p; do grep -qs '^OMPI_COMM_WORLD_RANK=1$' -z /proc/$p/environ && echo $p; done)";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_NE(shell("( " + kill_one + " ) & " + on(2, diffusion("killed", 80, "", 80)), said), 0) << "it ended too soon";
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(12));
  EXPECT_LT(steps_in(kStepHead, folder_.at("killed/checkpoints")).back(), 80);
  ASSERT_EQ(shell(on(2, diffusion("killed", 80, "--resume", 80))), 0);
  EXPECT_EQ(weights("killed"), weights("whole"));
}

TEST_F(SlowRanks, TellAFaultOnceAndNeedMicroBatches) {
  const std::string said = folder_.at("said");
  EXPECT_EQ(shell(on(2, "dtrain diffusion --micro-batches 2 --data nowhere --out " + folder_.at("none")), said), 66);
  const std::string text = read_file(said), line = "dtrain: error: nowhere: no such folder";
  const size_t first = text.find(line);
  EXPECT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find(line, first + 1), std::string::npos) << text;
  EXPECT_EQ(shell("mpirun --oversubscribe -n 8 " + on(1, diffusion("many", 2)), said), 2);
  EXPECT_NE(read_file(said).find("--micro-batches"), std::string::npos) << read_file(said);
}

}  // namespace
}  // namespace echodiff
