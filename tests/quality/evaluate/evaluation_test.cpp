// evaluation.json is read back as it was written.
#include "quality/evaluate/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

TEST(EvaluationFile, ComesBackAsItWasWritten) {
  const ScratchFolder scratch;
  Evaluation written;
  written.path = scratch.at("evaluation.json");
  written.features = "features";
  written.feature_count = 512;
  written.channels = 1;
  written.feature_size = 64;
  written.judge = "judge";
  written.tau = 0.5;
  written.data = scratch.at("data");
  written.image_size = 64;
  written.neighbours = 5;
  written.training = 100;
  written.held_out = 20;
  written.held_out_split = "test";
  written.copy_distance = 1.0 / 3;
  written.copy_detail = 0.4;
  written.held_out_copied_detail = wilson(1, 20);
  written.median_held_out = 0.3;
  written.held_out_judged_good = wilson(19, 20);
  written.real.n = 3;
  written.least_dice = 0.6;
  written.dice_refused = "vein: held-out Dice 0.100, below 0.6";
  written.held_out_texture.power = {{4, 3, 5}};
  written.held_out_texture.mean_grey.value = {60, 59, 61};
  written.real.outside_energy = {0.5, 0.25, 0.75};
  EvaluatedRun& run = written.runs.emplace_back();
  run.n = 3;
  run.kid = {1.0 / 7, -1, 2};
  run.precision = wilson(2, 3);
  run.folders = {scratch.at("runs/a"), scratch.at("runs/b")};
  run.median_nearest = 0.25;
  run.closer_than_held_out = {0.5, 0.4, 0.6};
  run.pairs = {{scratch.at("runs/a/images/000000.png"), "t.png", 0.125}};
  run.distinct = wilson(3, 3);
  run.texture.power_over_real = {{0.9, 0.8, 1}, {}, {0.5, 0.4, 0.6}};
  run.texture.lateral_width = {{1.5, 1.4, 1.6}, {0.25, 0.125, 0.5}};
  run.texture.radiomic_distance = {12, 10, 14};
  run.agreement.mean = {0.9, 0.8, 1};
  run.agreement.classes = {{"vein", {0.7, 0.6, 0.8}}, {"liver", {0.95, 0.9, 1}}};
  write_evaluation(written);
  const std::string text = read_file(written.path);
  EXPECT_NE(text.find("\"runs/a/images/000000.png\""), std::string::npos);  // beside the file

  const Evaluation read = read_evaluation(written.path);
  EXPECT_EQ(read.data, std::filesystem::weakly_canonical(written.data).string());
  ASSERT_EQ(read.runs.size(), 1u);
  EXPECT_EQ(read.runs[0].pairs.at(0).file, std::filesystem::weakly_canonical(run.pairs[0].file).string());
  EXPECT_EQ(read.runs[0].kid.value, 1.0 / 7);
  EXPECT_EQ(read.runs[0].precision.high, run.precision.high);
  EXPECT_EQ(read.runs[0].agreement.classes.at(0).first, "vein");
  EXPECT_TRUE(std::isnan(read.runs[0].kid_minus_first.value));
  EXPECT_EQ(read.runs[0].copies.n, 0);
  EXPECT_EQ(read.held_out_judged_good.k, 19);
  EXPECT_EQ(read.dice_refused, written.dice_refused);
  EXPECT_EQ(read.held_out_texture.mean_grey.value.high, 61);
  const Texture& texture = read.runs[0].texture;
  ASSERT_EQ(texture.power_over_real.size(), 3u);
  EXPECT_TRUE(std::isnan(texture.power_over_real[1].value));
  EXPECT_EQ(texture.power_over_real[2].low, 0.4);
  EXPECT_EQ(texture.lateral_width.minus_real.high, 0.5);
  EXPECT_TRUE(std::isnan(texture.axial_width.value.value));
  EXPECT_EQ(texture.radiomic_distance.value, 12);
  write_evaluation(read);
  EXPECT_EQ(read_file(written.path), text);  // and nothing of it was lost
}

TEST(EvaluationFile, ARunIsNamedByItsFoldersWithASlashBehindToo) {
  EvaluatedRun run;
  run.folders = {"runs/probe-1/", "runs/probe-2"};
  EXPECT_EQ(name_of(run), "probe-1, probe-2");
}

}  // namespace
}  // namespace echodiff
