// dtrain diffusion --dry-run foretells the memory of the run it stands for, and writes nothing; and
// --checkpoint-activations trains, resumes to its own bits, and can't be changed on the way.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

class DryRun : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(run("dphantom --count 40 --size 32 --seed 1 --out " + folder_.at("data")), 0); }
  std::string training(const std::string& out, const std::string& more) {
    return "dtrain diffusion --data " + folder_.at("data") + " --image-size 32 --dim 32 --batch 4 --steps 6 " +
           "--val-every 3 --val-count 2 --sample-every 6 --sample-steps 3 --save-every 3 --out " + folder_.at(out) +
           " " + more;
  }
  ScratchFolder folder_;
};

TEST_F(DryRun, ForetellsMemoryAndWritesNothing) {
  const std::string said = folder_.at("said");
  const std::string command = std::string(ECHODIFF_BIN_DIR) + "/" + training("dry", "--dry-run --quiet >" + said);
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_FALSE(std::filesystem::exists(folder_.at("dry")));
  double most = 0, tensors = 0;
  ASSERT_EQ(std::sscanf(read_file(said).c_str(),
                        "memory: %lf MiB at most, of which a step's tensors and the run's own "
                        "have %lf MiB",
                        &most, &tensors),
            2)
      << read_file(said);
  EXPECT_GT(tensors, 20);
  EXPECT_GT(most, tensors);
#ifndef __SANITIZE_ADDRESS__
  ASSERT_EQ(run(training("real", "")), 0);
  struct rusage used = {};
  getrusage(RUSAGE_CHILDREN, &used);  // the largest child so far: no test before it in this process is larger
  EXPECT_NEAR(most, double(used.ru_maxrss) / 1024, 0.2 * most);
#endif
  EXPECT_EQ(run(training("dry", "--dry-run --resume")), 2);
}

TEST_F(DryRun, CheckpointedActivationsResumeToTheirBits) {
  ASSERT_EQ(run(training("whole", "--checkpoint-activations --dropout 0.1")), 0);
  ASSERT_EQ(run(training("half", "--checkpoint-activations --dropout 0.1 --micro-batches 2")), 0);
  const std::string shorter = training("parts", "--checkpoint-activations --dropout 0.1 --resume");
  for (const char* steps : {"--steps 3", "--steps 6"}) {
    std::string command = shorter;
    command.replace(command.find("--steps 6"), 9, steps);
    ASSERT_EQ(run(command), 0);
  }
  EXPECT_TRUE(read_file(latest_checkpoint(folder_.at("parts"))) == read_file(latest_checkpoint(folder_.at("whole"))));
  EXPECT_EQ(run(training("plain", "")), 0);
  EXPECT_EQ(run(training("plain", "--resume --checkpoint-activations")), 2);
}

}  // namespace
}  // namespace echodiff
