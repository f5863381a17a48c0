// Policies as pure rules: when they look and what they rule on a given score history.
#include <gtest/gtest.h>

#include "kernels/error.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/paper.h"
#include "quality/sampling/policy/posthoc.h"
#include "quality/sampling/policy/random.h"

namespace echodiff {
namespace {

Ruling rule(const Policy& policy, const std::vector<double>& values, int64_t index = 0) {
  std::vector<Score> scores;
  for (const double value : values) scores.push_back({0, value});
  return policy.decide({scores, index, int64_t(values.size()), 100, 50});
}

TEST(PaperPolicy, AcceptsAtTau) {
  const Policy policy = paper_policy({.tau = 0.9, .window = 2});
  EXPECT_EQ(rule(policy, {0.89}).verdict, Verdict::kContinue);
  EXPECT_EQ(rule(policy, {0.1, 0.9}).verdict, Verdict::kAccept);
  EXPECT_EQ(rule(policy, {0.1, 0.9}).reason, "reached_tau_early");
}

TEST(PaperPolicy, DiscardsWhatStagnates) {
  const Policy policy = paper_policy({.tau = 0.9, .window = 2, .delta = 0.05});
  EXPECT_EQ(rule(policy, {0.5, 0.5}).verdict, Verdict::kContinue);  // no score before the window yet
  EXPECT_EQ(rule(policy, {0.5, 0.5, 0.52}).verdict, Verdict::kDiscard);
  EXPECT_EQ(rule(policy, {0.5, 0.5, 0.52}).reason, "stagnation");
  EXPECT_EQ(rule(policy, {0.5, 0.5, 0.56}).verdict, Verdict::kContinue);
  EXPECT_EQ(rule(policy, {0.5, 0.56, 0.4}).verdict, Verdict::kContinue);  // the best of the window counts
  EXPECT_EQ(rule(policy, {0.6, 0.3, 0.1, 0.2}).verdict, Verdict::kDiscard);
}

TEST(PaperPolicy, LooksAfterWarmUpEveryNth) {
  const Policy policy = paper_policy({.warm_up = 0.5, .every = 3});
  std::vector<int64_t> steps;
  for (int64_t step = 0; step < 20; ++step)
    if (policy.monitors(step, 20)) steps.push_back(step);
  EXPECT_EQ(steps, (std::vector<int64_t>{10, 13, 16, 19}));
}

TEST(PaperPolicy, RefusesBadConstants) {
  EXPECT_THROW(paper_policy({.window = 0}), Error);
  EXPECT_THROW(paper_policy({.every = 0}), Error);
  EXPECT_THROW(paper_policy({.warm_up = 1.5}), Error);
}

TEST(RandomPolicy, DropsItsShareOnceAndByIndexAlone) {
  const Policy policy = random_policy({.rate = 0.3, .at = 0.2, .seed = 5});
  int64_t dropped = 0;
  for (int64_t index = 0; index < 1000; ++index) {
    const bool drop = rule(policy, {0.5}, index).verdict == Verdict::kDiscard;
    EXPECT_EQ(drop, rule(policy, {}, index).verdict == Verdict::kDiscard);
    dropped += drop;
  }
  EXPECT_NEAR(double(dropped), 300, 50);
  EXPECT_TRUE(policy.monitors(20, 100));
  EXPECT_FALSE(policy.monitors(19, 100));
  EXPECT_FALSE(policy.monitors(21, 100));
}

TEST(SimplePolicies, NeverLook) {
  EXPECT_FALSE(none_policy().monitors(99, 100));
  EXPECT_FALSE(none_policy().judges_final);
  EXPECT_FALSE(posthoc_policy().monitors(99, 100));
  EXPECT_TRUE(posthoc_policy().judges_final);
}

}  // namespace
}  // namespace echodiff
