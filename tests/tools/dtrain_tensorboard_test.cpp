// --tensorboard: event files of every trainer, and no other bit changed.
#include <gtest/gtest.h>

#include <filesystem>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

int64_t event_files(const std::string& run, const std::string& holding) {
  int64_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(run)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    EXPECT_NE(read_file(entry.path().string()).find(holding), std::string::npos) << holding;
    ++count;
  }
  return count;
}

TEST(DtrainTensorboard, WritesWhatTheLogGetsAndPictures) {
  const ScratchFolder folder;
  const auto at = [&](const std::string& name) { return folder.at(name); };
  ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
  const std::string diffusion = "dtrain diffusion --data " + at("data") +
                                " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50 --val-every 2"
                                " --sample-every 2 --sample-steps 2 --save-every 2 --out ";
  ASSERT_EQ(run(diffusion + at("with") + " --steps 2 --tensorboard"), 0);
  EXPECT_EQ(event_files(at("with"), "val_loss"), 1);
  EXPECT_EQ(event_files(at("with"), "samples"), 1);
  EXPECT_EQ(event_files(at("with"), "grad_norm"), 1);
  ASSERT_EQ(run(diffusion + at("with") + " --steps 4 --resume"), 0);  // a run may begin or end to write them
  EXPECT_EQ(event_files(at("with"), "val_loss"), 1);
  ASSERT_EQ(run(diffusion + at("without") + " --steps 4"), 0);
  EXPECT_EQ(event_files(at("without"), ""), 0);
  EXPECT_EQ(read_file(latest_checkpoint(at("with"))), read_file(latest_checkpoint(at("without"))));

  ASSERT_EQ(run("dtrain segmenter --data " + at("data") + " --image-size 16 --steps 2 --tensorboard --out " +
                at("segmenter")),
            0);
  EXPECT_EQ(event_files(at("segmenter"), "val_dice"), 1);
}

}  // namespace
}  // namespace echodiff
