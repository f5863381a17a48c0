// The scorer's data: filling, balancing, the split by group; scores that don't depend on the batch; saving and loading.
#include "quality/judges/scorer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "quality/judges/scorer_data.h"
#include "tests/scratch_folder.h"
#include "train/data/image.h"
#include "train/phantom/phantom.h"

namespace echodiff {
namespace {

Dataset phantoms(int64_t count) {
  Dataset data{.plane_names = {"sector"}, .examples = {}, .image_size = 32};
  for (int64_t i = 0; i < count; ++i) {
    const Phantom phantom = make_phantom({.size = 32, .seed = 3}, i);
    data.examples.push_back({.file = std::to_string(i),
                             .split = "train",
                             .group = std::to_string(i / 2),
                             .image = phantom.image,
                             .planes = {phantom.sector}});
  }
  return data;
}

Thresholds calibrated_on(const Dataset& data) {
  std::vector<Metrics> metrics;
  for (const Example& example : data.examples) metrics.push_back(measure(example.image));
  return calibrate(metrics, 0.9);
}

int64_t good_ones(const std::vector<ScorerExample>& examples) {
  return std::count_if(examples.begin(), examples.end(), [](const ScorerExample& e) { return e.good; });
}

TEST(ScorerData, FillsBothClassesAndSaysWithWhat) {
  const Dataset data = phantoms(40);
  std::vector<ScorerExample> examples;
  fill_classes(examples, data, calibrated_on(data), 30, 1);
  EXPECT_EQ(good_ones(examples), 30);
  EXPECT_EQ(int64_t(examples.size()) - good_ones(examples), 30);
  for (const ScorerExample& example : examples)
    EXPECT_TRUE(example.origin == "training" || example.origin == "degraded");
}

TEST(ScorerData, DegradedPicturesDifferMoreWithTheGrade) {
  const GrayImage image = make_phantom({.size = 32, .seed = 3}, 0).image;
  for (int64_t kind = 0; kind < kDamages; ++kind) {
    double last = 0;
    for (int64_t grade = 0; grade < kGrades; ++grade) {
      const GrayImage damaged = degrade(image, kind, grade, 1);
      double difference = 0;
      for (size_t i = 0; i < image.pixels.size(); ++i)
        difference += std::abs(int(image.pixels[i]) - int(damaged.pixels[i]));
      EXPECT_GT(difference, last) << "kind " << kind << ", grade " << grade;
      last = difference;
    }
  }
}

TEST(ScorerData, NoGroupCrossesTheSplitAndBothClassesAreHeldOut) {
  const Dataset data = phantoms(60);
  std::vector<ScorerExample> examples;
  fill_classes(examples, data, calibrated_on(data), 50, 1);
  const ScorerSplit split = split_by_group(balance(examples, 50, 1), 0.25, 1);
  std::set<std::string> train, held_out;
  for (const ScorerExample& example : split.train) train.insert(example.group);
  for (const ScorerExample& example : split.held_out) held_out.insert(example.group);
  for (const std::string& group : held_out) EXPECT_EQ(train.count(group), 0u) << group;
  EXPECT_NEAR(double(good_ones(split.held_out)), 12.5, 4);
  EXPECT_NEAR(double(split.held_out.size()), 25, 6);
}

TEST(ScorerData, BalanceKeepsSampledPicturesFirst) {
  const GrayImage image{1, 1, {0}};
  std::vector<ScorerExample> examples;
  for (int64_t i = 0; i < 20; ++i)
    examples.push_back({image, true, "g", i < 5 ? "sampled" : i < 12 ? "training" : "degraded"});
  for (int64_t i = 0; i < 8; ++i) examples.push_back({image, false, "p", "sampled"});
  const std::vector<ScorerExample> kept = balance(examples, 200, 1);
  EXPECT_EQ(kept.size(), 16u);
  EXPECT_EQ(
      std::count_if(kept.begin(), kept.end(), [](const ScorerExample& e) { return e.good && e.origin == "sampled"; }),
      5);
  EXPECT_EQ(std::count_if(kept.begin(), kept.end(), [](const ScorerExample& e) { return e.origin == "degraded"; }), 0);
}

class ScorerOf : public testing::TestWithParam<const char*> {};

TEST_P(ScorerOf, APicturesScoreDoesNotDependOnTheBatchAndSurvivesSaving) {
  const ScratchFolder folder;
  const std::string run = folder.string();
  std::filesystem::create_directory(run + "/checkpoints");
  Scorer scorer({.image_size = 32, .width = 8, .architecture = GetParam()}, 5);
  scorer.network().eval();
  std::vector<GrayImage> images;
  for (int64_t i = 0; i < 3; ++i) images.push_back(make_phantom({.size = 32, .seed = 3}, i).image);
  const std::vector<double> together = scorer.score(to_tensor({&images[0], &images[1], &images[2]}));
  scorer.save(run, 7);
  const Scorer loaded = load_scorer_run(run);
  EXPECT_EQ(loaded.options().architecture, GetParam());
  for (size_t i = 0; i < images.size(); ++i) {
    EXPECT_EQ(scorer.score(to_tensor({&images[i]}))[0], together[i]);
    EXPECT_EQ(loaded.score(to_tensor({&images[i]}))[0], together[i]);
  }
  const GrayImage small{16, 16, std::vector<uint8_t>(256, 0)};
  EXPECT_THROW(scorer.score(to_tensor({&small})), Error);
}

INSTANTIATE_TEST_SUITE_P(Architectures, ScorerOf, testing::Values("resnet18", "cnn"));

TEST(Scorer, APlainCnnIsNoResNet18) {
  const ScratchFolder folder;
  const std::string run = folder.string();
  std::filesystem::create_directory(run + "/checkpoints");
  Scorer({.image_size = 32, .width = 8, .architecture = "cnn"}, 5).save(run, 1);
  EXPECT_THROW(load_resnet18_run(run), Error);
  EXPECT_THROW(Scorer({.image_size = 32, .width = 8, .architecture = "vgg"}, 5), Error);
}

}  // namespace
}  // namespace echodiff
