// The one bootstrap, and what stands on it.
#include "quality/statistics/estimates.h"

#include <gtest/gtest.h>

#include <cmath>

namespace echodiff {
namespace {

TEST(Averages, OrderStatisticsTakeInfinityForANumber) {
  EXPECT_EQ(median_of({3, 1, 2, 10}), 2.5);
  EXPECT_TRUE(std::isinf(quantile_of({1, 2, INFINITY, INFINITY}, 0.9)));
  EXPECT_EQ(quantile_of({1, 2, INFINITY}, 0.5), 2);
  const Estimate mean = mean_of({1, 2, 3});
  EXPECT_EQ(mean.value, 2);
  EXPECT_NEAR(mean.high - mean.value, 1.96 / std::sqrt(3.0), 1e-4);
  EXPECT_NEAR(mean.low + mean.high, 4, 1e-12);
}

TEST(Bootstrap, DrawsStayInTheirStratum) {
  const Estimate estimate = bootstrap({3, 2}, [](const std::vector<size_t>& drawn) {
    EXPECT_EQ(drawn.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(drawn[i] < 3, i < 3);
    return double(drawn[0] + drawn[3]);
  });
  EXPECT_EQ(estimate.value, 3);  // all units, in their order
  EXPECT_EQ(estimate.low, 3);
  EXPECT_EQ(estimate.high, 6);
}

TEST(Bootstrap, SomeUnitsMustVaryAndMostDrawsBeDefined) {
  const auto first = [](const std::vector<size_t>& drawn) { return double(drawn[0]); };
  EXPECT_TRUE(std::isnan(bootstrap({}, first).value));
  EXPECT_EQ(bootstrap({1, 1}, first).value, 0);
  EXPECT_TRUE(std::isnan(bootstrap({1, 1}, first).low));
  const auto seldom = [](const std::vector<size_t>& drawn) { return drawn[0] == 0 ? 1 : NAN; };
  EXPECT_TRUE(std::isnan(bootstrap({4}, seldom).low));
  EXPECT_EQ(bootstrap({4}, seldom).value, 1);
}

TEST(Bootstrap, ARatioKnowsItsUnitsByTheirKeys) {
  const std::map<int64_t, RatioTerm> two{{0, {10, 1}}, {7, {20, 1}}};
  const Estimate pooled = ratio_of_sums({two, {{0, {30, 1}}, {1, {30, 1}}}});
  EXPECT_EQ(pooled.value, 22.5);
  EXPECT_EQ(pooled.low, 20);  // the second seed's cost is no question
  EXPECT_EQ(pooled.high, 25);
  const Estimate twice = ratio_of_ratios({{{40, 1}, {20, 1}}, {{10, 2}, {5, 2}}});
  EXPECT_EQ(twice.low, 2);
  EXPECT_EQ(twice.high, 2);
  EXPECT_TRUE(std::isnan(ratio_of_ratios({{{40, 1}, {20, 1}}}).value));
}

}  // namespace
}  // namespace echodiff
