// auroc and calibration against hand-computed cases.
#include "quality/statistics/calibration.h"

#include <gtest/gtest.h>

#include <cmath>

namespace echodiff {
namespace {

TEST(Auroc, CountsPairsAndHalvesTies) {
  // good 0.9 0.5, poor 0.5 0.1: pairs won 1 + 1 + 1/2 + 1 of 4
  EXPECT_DOUBLE_EQ(auroc({0.9, 0.5, 0.5, 0.1}, {true, true, false, false}), 3.5 / 4);
  EXPECT_DOUBLE_EQ(auroc({0.1, 0.9}, {true, false}), 0);
  EXPECT_DOUBLE_EQ(auroc({0.3, 0.3, 0.3}, {true, false, false}), 0.5);
}

TEST(Auroc, IsUndefinedWithOneClass) { EXPECT_TRUE(std::isnan(auroc({0.2, 0.4}, {true, true}))); }

TEST(Calibration, HandComputed) {
  const Calibration c = calibration_of({0.95, 0.85, 0.05, 1.0}, {true, false, false, true});
  EXPECT_DOUBLE_EQ(c.accuracy, 0.75);
  EXPECT_NEAR(c.brier, (0.0025 + 0.7225 + 0.0025 + 0) / 4, 1e-15);
  ASSERT_EQ(c.bins.size(), 10u);
  EXPECT_EQ(c.bins[9].count, 2);
  EXPECT_NEAR(c.bins[9].mean_score, 0.975, 1e-15);
  EXPECT_EQ(c.bins[8].count, 1);
  EXPECT_NEAR(c.ece, 0.5 * 0.025 + 0.25 * 0.85 + 0.25 * 0.05, 1e-15);
}

// 3 of 4 good at logit 1, 1 of 4 at -1: by symmetry offset 0; smoothed targets (5/6 and 1/6) then average to
// 3/4 5/6 + 1/4 1/6 = 2/3 at logit 1, so slope = log(2).
TEST(Platt, HandComputed) {
  const Platt platt = fit_platt({1, 1, 1, 1, -1, -1, -1, -1}, {true, true, true, false, true, false, false, false});
  EXPECT_NEAR(platt.slope, std::log(2.0), 1e-9);
  EXPECT_NEAR(platt.offset, 0, 1e-9);
  EXPECT_NEAR(platt.probability(1), 2.0 / 3, 1e-9);
}

TEST(Platt, NeverTurnsARankingRound) {
  const Platt platt = fit_platt({2, 1, -1, -2}, {false, false, true, true});
  EXPECT_EQ(platt.slope, 0);
  EXPECT_NEAR(platt.probability(7), 0.5, 1e-9);
  EXPECT_NEAR(fit_platt({}, {}).probability(0), 0.5, 1e-12);
}

}  // namespace
}  // namespace echodiff
