// Branches share their beginning and nothing else; the two AUROCs enclose the true one.
#include "quality/sampling/ceiling.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/philox.h"

namespace echodiff {
namespace {

std::vector<float> drawn(const NoiseSource& noise, int64_t index, int64_t draw) {
  std::vector<float> out(6);
  noise(index, draw, out.data(), 6);
  return out;
}

TEST(Ceiling, BranchesShareTheirBeginningAlone) {
  const NoiseSource own = default_noise(3), branched = branched_noise(own, 4, 5, 2);
  for (int64_t draw = 0; draw <= 2; ++draw)
    for (int64_t b = 0; b < 5; ++b) EXPECT_EQ(drawn(branched, 7 * 5 + b, draw), drawn(own, 7, draw)) << draw;
  EXPECT_NE(drawn(branched, 35, 3), drawn(own, 7, 3));
  EXPECT_NE(drawn(branched, 35, 3), drawn(branched, 36, 3));
  EXPECT_NE(drawn(branched, 35, 3), drawn(branched, 35, 4));
}

TEST(Ceiling, HandComputed) {
  const CeilingAuroc sure = ceiling_auroc({4, 0, 4, 0}, 4);
  EXPECT_EQ(sure.upper, 1);
  EXPECT_EQ(sure.lower, 1);
  // States of 2 and 1 good endings of 2. Good of the first, poor of the second: 2 pairs, score 2 (alone 1) against 1.
  // Good of the second, poor of the first: none.
  const CeilingAuroc two = ceiling_auroc({2, 1}, 2);
  EXPECT_EQ(two.upper, 1);
  EXPECT_EQ(two.lower, 0.5);
  EXPECT_TRUE(std::isnan(ceiling_auroc({4, 4}, 4).upper));
}

// Chances uniform in 0..1: the ideal judge's AUROC is (5/24) / (1/4) = 5/6.
TEST(Ceiling, TheTwoNumbersEncloseTheTruth) {
  std::vector<int64_t> good;
  for (int64_t i = 0; i < 1500; ++i) {
    Random random(1, uint64_t(i));
    const double chance = double(random.below(1 << 30)) / (1 << 30);
    int64_t count = 0;
    for (int64_t b = 0; b < 8; ++b) count += double(random.below(1 << 30)) / (1 << 30) < chance ? 1 : 0;
    good.push_back(count);
  }
  const CeilingAuroc ceiling = ceiling_auroc(good, 8);
  EXPECT_LT(ceiling.lower, 5.0 / 6);
  EXPECT_GT(ceiling.upper, 5.0 / 6);
  EXPECT_LT(ceiling.upper - ceiling.lower, 0.1);
}

}  // namespace
}  // namespace echodiff
