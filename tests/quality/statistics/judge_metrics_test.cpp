// Pairs within masks and intervals over masks, against hand-computed cases.
#include "quality/statistics/judge_metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace echodiff {
namespace {

// Mask 0 is good and scores high whoever; mask 1 is poor and scores low; within each the judge is wrong.
const std::vector<Judged> kMaskSelector{{0.8, true, 0}, {0.81, true, 0}, {0.82, true, 0}, {0.9, false, 0},
                                        {0.1, true, 1}, {0.2, false, 1}, {0.3, false, 1}, {0.4, false, 1}};

TEST(JudgeMetrics, ASelectorOfMasksIsWorthNothingWithinThem) {
  EXPECT_DOUBLE_EQ(auroc_of(kMaskSelector), 9.0 / 16);  // each of three good ones beats three poor ones
  const WithinMasks within = auroc_within_masks(kMaskSelector);
  EXPECT_EQ(within.pairs, 6);
  EXPECT_DOUBLE_EQ(within.auroc, 0);
}

TEST(JudgeMetrics, MasksCountByTheirPairs) {
  // Mask 0: 1 of 2 pairs won; mask 1: 1 of 1; mask 2 has no pair.
  const WithinMasks within = auroc_within_masks(
      {{0.5, true, 0}, {0.4, false, 0}, {0.6, false, 0}, {0.9, true, 1}, {0.1, false, 1}, {0, true, 2}});
  EXPECT_EQ(within.pairs, 3);
  EXPECT_DOUBLE_EQ(within.auroc, 2.0 / 3);
  EXPECT_TRUE(std::isnan(auroc_within_masks({{0.5, true, 0}, {0.4, false, 1}}).auroc));
}

TEST(JudgeMetrics, IntervalsDrawWholeMasks) {
  const auto share = [](const std::vector<Judged>& judged) {
    double good = 0;
    for (const Judged& one : judged) good += one.good ? 1 : 0;
    return good / double(judged.size());
  };
  std::vector<Judged> two_masks, many_masks;
  for (int64_t i = 0; i < 100; ++i) {
    two_masks.push_back({0, i < 50, i < 50 ? 0 : 1});
    many_masks.push_back({0, i < 50, i});
  }
  const Estimate two = bootstrap_over_masks(two_masks, share);  // all good, all poor or half
  EXPECT_DOUBLE_EQ(two.value, 0.5);
  EXPECT_EQ(two.low, 0);
  EXPECT_EQ(two.high, 1);
  const Estimate many = bootstrap_over_masks(many_masks, share);  // 0.5 +- 1.96 * 0.05
  EXPECT_NEAR(many.low, 0.402, 0.02);
  EXPECT_NEAR(many.high, 0.598, 0.02);
  EXPECT_EQ(bootstrap_over_masks(many_masks, share).low, many.low);
}

TEST(JudgeMetrics, NothingDefinedGivesNoInterval) {
  const Estimate none = bootstrap_over_masks({{0.5, true, 0}}, auroc_of);
  EXPECT_TRUE(std::isnan(none.value) && std::isnan(none.low) && std::isnan(none.high));
  EXPECT_TRUE(std::isnan(bootstrap_over_masks({}, auroc_of).value));
}

}  // namespace
}  // namespace echodiff
