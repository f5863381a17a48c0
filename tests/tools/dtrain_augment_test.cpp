// dtrain diffusion --augment: the same bits wherever it was broken off, and a network that others can use.
#include <gtest/gtest.h>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

class ToldTraining : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(train("whole", "--steps 8 --augment 0.5"), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }
  static int train(const std::string& out, const std::string& more) {
    return run("dtrain diffusion --data " + at("data") +
               " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50" +
               " --val-every 4 --sample-every 4 --sample-steps 2 --save-every 3 --out " + at(out) + " " + more);
  }
  static std::string weights(const std::string& out) { return read_file(latest_checkpoint(at(out))); }

  static ScratchFolder* folder_;
};
ScratchFolder* ToldTraining::folder_ = nullptr;

TEST_F(ToldTraining, GivesTheSameBitsBrokenOffAndOnOneThread) {
  ASSERT_EQ(train("broken", "--augment 0.5 --steps 5"), 0);
  ASSERT_EQ(train("broken", "--augment 0.5 --steps 8 --resume"), 0);
  EXPECT_EQ(weights("broken"), weights("whole"));
  ASSERT_EQ(train("threads", "--augment 0.5 --steps 8 --threads 1"), 0);
  EXPECT_EQ(weights("threads"), weights("whole"));
  ASSERT_EQ(train("weaker", "--augment 0.4 --steps 8"), 0);
  EXPECT_NE(weights("weaker"), weights("whole"));
}

TEST_F(ToldTraining, IsSampledFromAndExportedWithoutItsLabels) {
  EXPECT_EQ(run("dsample --model " + at("whole") + " --masks " + at("data") +
                " --policy none --sampler ddim --sample-steps 2 --count 2 --out " + at("samples")),
            0);
  ASSERT_EQ(run("dweights export " + at("whole") + " --out " + at("w.safetensors")), 0);
  EXPECT_EQ(read_safetensors(at("w.safetensors")).at("init_conv.weight").dim(1), 4);  // x_t, two organs, the sector
  EXPECT_EQ(read_checkpoint(latest_checkpoint(at("whole"))).at("init_conv.weight").dim(1), 14);
  EXPECT_EQ(run("dweights import " + at("w.safetensors") +
                " --as lucidrains --planes liver,portal_vein,sector --image-size 16 --out " + at("imported")),
            0);
}

TEST_F(ToldTraining, AnotherNetworkIsRefused) {
  EXPECT_EQ(train("whole", "--steps 9 --resume"), 2);
  EXPECT_EQ(train("new", "--steps 2 --init " + at("whole")), 2);
  EXPECT_EQ(train("new", "--steps 2 --augment 0.5 --arch guided --dim 32 --condition spade"), 2);
  EXPECT_EQ(train("new", "--steps 2 --augment 0.5 --init " + at("whole")), 0);
}

}  // namespace
}  // namespace echodiff
