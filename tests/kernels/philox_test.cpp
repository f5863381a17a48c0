// Philox4x32-10 against the known answers of Random123, and what the project derives from it.
#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace echodiff {
namespace {

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, ArgumentsSelectDifferentBlocks) {
  const PhiloxBlock base = philox_block(1, 2, 3, 4);
  for (const PhiloxBlock& other : {philox_block(2, 2, 3, 4), philox_block(1 | uint64_t{1} << 40, 2, 3, 4),
                                   philox_block(1, 3, 3, 4), philox_block(1, 2, 4, 4), philox_block(1, 2, 3, 5)})
    EXPECT_NE(base, other);
}

TEST(Philox, NormalNumbersDoNotDependOnTheCount) {
  std::vector<float> many(103), few(7);
  fill_normal(many.data(), 103, 9, 8, 7);
  fill_normal(few.data(), 7, 9, 8, 7);
  for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(many[i], few[i]);
}

TEST(Philox, NormalMoments) {
  constexpr int64_t kCount = 400000;
  std::vector<float> z(kCount);
  fill_normal(z.data(), kCount, 1, 0, 0);
  double moments[4] = {0, 0, 0, 0}, neighbours = 0;
  for (size_t i = 0; i < z.size(); ++i) {
    double power = 1;
    for (double& moment : moments) moment += (power *= double(z[i])) / kCount;
    if (i > 0) neighbours += double(z[i]) * double(z[i - 1]) / kCount;
  }
  const double five_sigma = 5 / std::sqrt(double(kCount));
  EXPECT_NEAR(moments[0], 0, five_sigma);
  EXPECT_NEAR(moments[1], 1, five_sigma * std::sqrt(2));
  EXPECT_NEAR(moments[2], 0, five_sigma * std::sqrt(15));
  EXPECT_NEAR(moments[3], 3, five_sigma * std::sqrt(96));
  EXPECT_NEAR(neighbours, 0, five_sigma);
}

TEST(Random, IsReproducible) {
  Random a(5, 6, 7), b(5, 6, 7);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(a.bits(), b.bits());
  EXPECT_NE(Random(5, 6, 7).bits(), Random(5, 6, 8).bits());
}

TEST(Random, StaysInRange) {
  Random random(3);
  std::vector<int> counts(7, 0);
  for (int i = 0; i < 70000; ++i) {
    const double u = random.uniform();
    EXPECT_GE(u, 0);
    EXPECT_LT(u, 1);
    ++counts[size_t(random.below(7))];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

}  // namespace
}  // namespace echodiff
