// A run directory says itself which judge it holds.
#include "quality/judges/judge.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "quality/judges/scorer.h"
#include "quality/judges/value_model.h"
#include "tests/scratch_folder.h"
#include "train/draws.h"

namespace echodiff {
namespace {

constexpr int64_t kSize = 16;

std::string empty_run(const ScratchFolder& folder, const std::string& name) {
  const std::string run = folder.at(name);
  std::filesystem::create_directories(run + "/checkpoints");
  return run;
}

TEST(Judge, IsWhatTheRunHolds) {
  const ScratchFolder folder;
  const Tensor images = draw_noise(1, Draw::noise, 0, {3, 1, kSize, kSize});
  const Tensor t = draw_times(1, Draw::time, 0, 3, 50), condition = full({3, 2, kSize, kSize}, 1);
  ValueModel value({.image_size = kSize, .planes = 2, .width = 8, .T = 50}, 3);
  value.network().eval();
  const std::string value_run = empty_run(folder, "judge_value");
  value.save(value_run, 1, {}, {});
  EXPECT_TRUE(is_value_run(value_run));
  EXPECT_EQ(load_judge_run(value_run, kSize, kSize)(images, t, condition), value.score(images, t, condition));

  Scorer scorer({.image_size = kSize, .width = 8}, 3);
  scorer.network().eval();
  const std::string scorer_run = empty_run(folder, "judge_scorer");
  scorer.save(scorer_run, 1);
  EXPECT_FALSE(is_value_run(scorer_run));
  EXPECT_EQ(load_judge_run(scorer_run, kSize, kSize)(images, t, condition), scorer.score(images));

  for (const std::string& run : {value_run, scorer_run}) EXPECT_THROW(load_judge_run(run, 8, 8), Error) << run;
  EXPECT_THROW(load_judge_run(empty_run(folder, "judge_none"), kSize, kSize), Error);
}

TEST(Judge, OfMasksGoesByThePlanesItWasTrainedOn) {
  const ScratchFolder folder;
  ValueModel value({.image_size = kSize, .planes = 3, .width = 8, .T = 50}, 3);
  const std::string run = empty_run(folder, "value");
  value.save(run, 1, {}, {{kPlaneNames, "liver,vein,sector"}});
  const auto load = [&](const std::vector<std::string>& planes) {
    load_judge_run(run, kSize, kSize, Device::kCpu, planes);
  };
  load({});
  load({"liver", "vein", "sector"});
  load({"plane_1", "plane_2", "sector"});
  EXPECT_THROW(load({"vein", "liver", "sector"}), Error);
  value.save(run, 2, {}, {});  // by an older version
  load({"vein", "liver", "sector"});
}

}  // namespace
}  // namespace echodiff
