// The best weights beside the checkpoints: which stay, and which a run that goes on forgets.
#include "train/best_checkpoint.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "tests/scratch_folder.h"
#include "train/checkpoint_names.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

class BestCheckpoint : public ::testing::Test {
 protected:
  BestCheckpoint() { const RunDirectory made(run_.string()); }
  void best(int64_t step) const { save_best(run_.string(), step, {{"w", full({2}, double(step))}}, {}); }
  void checkpoint(int64_t step) const {
    save_checkpoint(run_.string(), step, {{"w", full({2}, 1)}}, {}, 2);
    prune_best(run_.string());
  }
  std::vector<int64_t> kept() const { return steps_in(kBestHead, run_.at("checkpoints")); }

  ScratchFolder run_;
};

TEST_F(BestCheckpoint, TheNewestIsRead) {
  EXPECT_EQ(best_checkpoint(run_.string()), "");
  best(5);
  best(10);
  EXPECT_EQ(std::filesystem::path(best_checkpoint(run_.string())).filename(), "best-00000010.safetensors");
  EXPECT_EQ(read_checkpoint(best_checkpoint(run_.string())).at("w").to_vector(), (std::vector<double>{10, 10}));
  EXPECT_EQ(latest_checkpoint(run_.string()), "");  // it is none to go on from
  EXPECT_EQ(stray_checkpoint(run_.string()), "");
}

TEST_F(BestCheckpoint, EachCheckpointFindsTheBestOfItsTime) {
  best(5);
  best(8);
  EXPECT_EQ(kept(), (std::vector<int64_t>{8}));  // there is nothing to go on from before it
  checkpoint(10);
  best(12);
  best(15);
  EXPECT_EQ(kept(), (std::vector<int64_t>{8, 15}));
  checkpoint(20);
  EXPECT_EQ(kept(), (std::vector<int64_t>{8, 15}));
  checkpoint(30);  // 10 goes
  EXPECT_EQ(kept(), (std::vector<int64_t>{15}));
  best(35);
  forget_best_after(run_.string(), 30);
  EXPECT_EQ(kept(), (std::vector<int64_t>{15}));
}

TEST_F(BestCheckpoint, NeverHoldsANaN) {
  best(5);
  const Tensor bad = full({2}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_THROW(save_best(run_.string(), 6, {{"w", bad}}, {}), Error);
  EXPECT_EQ(kept(), (std::vector<int64_t>{5}));
}

TEST(CheckpointNames, AreReadBackAndOthersAreNone) {
  EXPECT_EQ(checkpoint_name("step", 7), "step-00000007.safetensors");
  for (const int64_t step : {int64_t(0), int64_t(7), int64_t(1234567890)})
    EXPECT_EQ(step_in("best", checkpoint_name("best", step)), step);
  for (const char* name : {"step-7.safetensors", "best-00000007.safetensors", "step-0000000x.safetensors", "step-",
                           "step-00000007.safetensors.gz", "step--0000007.safetensors", "step-000000007.safetensors"})
    EXPECT_FALSE(step_in("step", name).has_value()) << name;
}

}  // namespace
}  // namespace echodiff
