// What is held out goes by names alone, and a run keeps its lists.
#include "train/folder/split.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

std::vector<Example> pictures(int64_t count, int64_t a_group) {
  std::vector<Example> examples;
  for (int64_t i = 0; i < count; ++i)
    examples.push_back({std::to_string(1000 + i) + ".png", "", "p" + std::to_string(i / a_group), {}, {}});
  return examples;
}

std::set<std::string> held_out(std::vector<Example> examples) {
  resolve_splits(examples, "data");
  std::map<std::string, std::set<std::string>> splits;
  std::set<std::string> groups;
  for (const Example& example : examples) {
    splits[example.group].insert(example.split);
    if (example.split == "val") groups.insert(example.group);
  }
  for (const auto& [group, used] : splits) EXPECT_EQ(used.size(), 1u) << group;
  return groups;
}

TEST(Split, HoldsOutATenthOfTheGroupsByName) {
  const std::set<std::string> of_many = held_out(pictures(3000, 3));
  EXPECT_NEAR(double(of_many.size()), 100, 30);
  // Groups that join or leave move no other.
  std::vector<Example> half = pictures(3000, 3);
  std::erase_if(half, [](const Example& example) { return example.group.back() % 2 == 0; });
  const std::set<std::string> of_half = held_out(half);
  EXPECT_GT(of_half.size(), 20u);
  for (const std::string& group : of_half) EXPECT_TRUE(of_many.contains(group)) << group;
}

TEST(Split, HoldsOutAtLeastOneGroupAndNeverAll) {
  EXPECT_TRUE(held_out(pictures(3, 3)).empty());
  for (int64_t groups = 2; groups < 8; ++groups) {
    const size_t drawn = held_out(pictures(groups, 1)).size();
    EXPECT_GE(drawn, 1u);
    EXPECT_LT(drawn, size_t(groups));
  }
}

TEST(Split, AGivenSplitStays) {
  std::vector<Example> examples = pictures(40, 2);
  for (size_t i = 0; i < examples.size(); ++i) examples[i].split = i < 20 ? "test" : "train";
  resolve_splits(examples, "data");
  for (size_t i = 0; i < 20; ++i) EXPECT_EQ(examples[i].split, "test");
  examples[0].split = "train";
  EXPECT_THROW(resolve_splits(examples, "data"), Error);
}

TEST(Split, ARunKeepsItsLists) {
  const ScratchFolder run;
  Dataset data{{"sector"}, pictures(30, 1), 16};
  data.examples[3].file = "a \"b\", c.png";
  resolve_splits(data.examples, "data");
  EXPECT_FALSE(keeps_split(run.string()));
  Dataset unknown = data;
  follow_split(run.string(), unknown, "data");
  EXPECT_EQ(unknown.examples[5].split, data.examples[5].split);
  EXPECT_NE(unknown.notes.at(0).find("keeps no split.csv"), std::string::npos);
  require_same_split(run.string(), data, "data");
  keep_split(run.string(), data);
  require_same_split(run.string(), data, "data");
  Dataset later = data;
  for (Example& example : later.examples) example.split = "train", example.group = example.file;
  later.examples.push_back({"new.png", "val", "new.png", {}, {}});
  EXPECT_THROW(require_same_split(run.string(), later, "data"), Error);
  later.examples[0].file = "1000.jpg";  // the same picture, stored anew
  follow_split(run.string(), later, "data");
  for (size_t i = 0; i < data.examples.size(); ++i) {
    EXPECT_EQ(later.examples[i].split, data.examples[i].split) << i;
    EXPECT_EQ(later.examples[i].group, data.examples[i].group);
  }
  EXPECT_EQ(later.examples.back().split, "");
  ASSERT_EQ(later.notes.size(), 1u);
  EXPECT_NE(later.notes[0].find("1 pictures aren't in it"), std::string::npos);
  Dataset other{{"sector"}, {{"x.png", "train", "x", {}, {}}}, 16};
  EXPECT_THROW(follow_split(run.string(), other, "other"), Error);
}

}  // namespace
}  // namespace echodiff
