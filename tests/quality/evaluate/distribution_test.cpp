// KID, FID and nearest-neighbour measures against closed forms and cases worked out by hand.
#include "quality/evaluate/distribution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {
namespace {

Rows normal_rows(int64_t count, int64_t width, uint64_t seed, double shift = 0, double scale = 1) {
  Rows rows{count, width, {}};
  Random random(seed);
  for (int64_t i = 0; i < count * width; ++i) rows.values.push_back(shift + scale * random.normal());
  return rows;
}

TEST(KernelDistance, ByHand) {
  // One feature, kernel (x y + 1)^3. Samples 0, 1, 2: pairs 1, 1, 27. Real 1, 1, 3: pairs 8, 64, 64.
  // Across: 0 gives 1 each; 1 gives 8, 8, 64; 2 gives 27, 27, 343.
  const Rows samples{3, 1, {0, 1, 2}}, real{3, 1, {1, 1, 3}};
  const double expected = (1 + 1 + 27) / 3.0 + (8 + 64 + 64) / 3.0 - 2 * (3 + 80 + 397) / 9.0;
  const Measure measure = kernel_distance(samples, real);
  EXPECT_NEAR(measure.value, expected, 1e-12);
  // Jackknife by hand: without sample 0, 1, 2 the samples' term is 27, 1, 1 and the cross sum 477, 400, 83 of 6;
  // without a real row the real term is 64, 64, 8 and the cross sum 444, 444, 72 of 6.
  const double s = (1 + 1 + 27) / 3.0, r = (8 + 64 + 64) / 3.0;
  const double a[] = {27 + r - 477 / 3.0, 1 + r - 400 / 3.0, 1 + r - 83 / 3.0};
  const double b[] = {s + 64 - 444 / 3.0, s + 64 - 444 / 3.0, s + 8 - 72 / 3.0};
  double variance = 0;
  for (const double* set : {a, b}) {
    const double mean = (set[0] + set[1] + set[2]) / 3;
    for (int i = 0; i < 3; ++i) variance += 2 / 3.0 * (set[i] - mean) * (set[i] - mean);
  }
  EXPECT_NEAR(measure.error, std::sqrt(variance), 1e-9);
}

TEST(KernelDistance, UnbiasedForEqualDistributions) {
  // Few rows, many repetitions: the mean is 0 within 4 standard errors, where the biased estimate would be far off.
  std::vector<double> values;
  for (uint64_t i = 0; i < 400; ++i)
    values.push_back(kernel_distance(normal_rows(10, 4, 2 * i), normal_rows(12, 4, 2 * i + 1)).value);
  const Measure mean = mean_of(values);
  EXPECT_LT(std::abs(mean.value), 4 * mean.error);
  EXPECT_LT(mean.error, 0.1);
}

TEST(KernelDistance, IntervalHoldsTheTruthNearlyAlways) {
  // One feature, N(0,1) against N(1,1). E k(x,y) = 1 + 3 m + 3 m2 + m3 with moments of the product of two independent
  // draws: means 0,0: 1 + 3; 1,1: 1 + 3 + 3*4 + 16; 0,1: 1 + 3*2. So MMD^2 = 4 + 32 - 14 = 22.
  int64_t held = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const Measure measure = kernel_distance(normal_rows(150, 1, 900 + 2 * i), normal_rows(150, 1, 901 + 2 * i, 1));
    held += std::abs(measure.value - 22) < 1.96 * measure.error;
  }
  EXPECT_GE(held, 176);  // 95 % less 3.5 standard deviations, and skewness
  EXPECT_LE(held, 200);
}

TEST(KernelDifference, IsOfTheTwoAndNarrowerForWhatTheyShare) {
  const Rows a = normal_rows(150, 3, 1), b = normal_rows(150, 3, 2, 0.3), real = normal_rows(20, 3, 3, 0.1, 3);
  const Measure difference = kernel_difference(a, b, real), of_a = kernel_distance(a, real),
                of_b = kernel_distance(b, real);
  EXPECT_NEAR(difference.value, of_a.value - of_b.value, 1e-9);
  EXPECT_LT(difference.error, 0.7 * std::hypot(of_a.error, of_b.error));  // few real rows: most of either's error
  EXPECT_NEAR(kernel_difference(b, a, real).value, -difference.value, 1e-9);
}

TEST(KernelDifference, IntervalHoldsTheTruthNearlyAlways) {
  // N(0,1) and N(1,1) against N(1,1), one feature: 22 (as above) less 0.
  int64_t held = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const Rows real = normal_rows(100, 1, 2902 + 3 * i, 1);
    const Measure measure =
        kernel_difference(normal_rows(100, 1, 2900 + 3 * i), normal_rows(100, 1, 2901 + 3 * i, 1), real);
    held += std::abs(measure.value - 22) < 1.96 * measure.error;
  }
  EXPECT_GE(held, 176);
  EXPECT_LE(held, 200);
}

TEST(FrechetDistance, OneFeatureIsClosedForm) {
  // (m1 - m2)^2 + (s1 - s2)^2. Means 2 and 5, variances (n - 1) of {0, 2, 4}: 4; of {4, 5, 6}: 1.
  EXPECT_NEAR(frechet_distance({3, 1, {0, 2, 4}}, {3, 1, {4, 5, 6}}).value, 9 + 1, 1e-9);
}

TEST(FrechetDistance, CovariancesThatDoNotCommute) {
  // Covariances [[4, 0], [0, 1]] and [[2, 1], [1, 2]]: tr (S1 S2)^(1/2) of 2x2 is sqrt(tr S1 S2 + 2 sqrt(det S1 det
  // S2)) = sqrt(10 + 2 sqrt(12)). The sets are +- the columns of a root, so n - 1 = 3 divides 2 r r^T: scaled by
  // sqrt(3/2).
  const double f = std::sqrt(1.5), u = std::sqrt(1.5), v = std::sqrt(0.5);
  const Rows a{4, 2, {2 * f, 0, -2 * f, 0, 0, f, 0, -f}};
  const Rows b{4, 2, {u * f, u * f, -u * f, -u * f, v * f, -v * f, -v * f, v * f}};
  const double expected = 5 + 4 - 2 * std::sqrt(10 + 2 * std::sqrt(12.0));
  EXPECT_NEAR(frechet_distance(a, b).value, expected, 1e-9);
  EXPECT_NEAR(frechet_distance(b, a).value, expected, 1e-9);
}

TEST(FrechetDistance, SameRowsAreZeroEvenWithFewerRowsThanFeatures) {
  const Rows rows = normal_rows(6, 20, 3);
  EXPECT_NEAR(frechet_distance(rows, rows).value, 0, 1e-6);
}

TEST(FrechetDistance, ErrorIsTheSpreadOfRepetitions) {
  std::vector<double> values, errors;
  for (uint64_t i = 0; i < 100; ++i) {
    const Measure measure = frechet_distance(normal_rows(100, 3, 50 + 2 * i), normal_rows(100, 3, 51 + 2 * i, 0.7));
    values.push_back(measure.value);
    errors.push_back(measure.error);
  }
  const double spread = mean_of(values).error * 10;  // the standard deviation of one
  EXPECT_NEAR(mean_of(errors).value / spread, 1, 0.3);
}

TEST(Neighbourhood, ByHand) {
  // On a line, k = 1. Real 0, 1, 10: radii 1, 1, 9. Samples 0.5, 4, 30: radii 3.5, 3.5, 26.
  // 0.5 is in the balls of 0 and 1, not of 10 (9.5 away); 4 is in that of 10; 30 is in none: precision 2/3,
  // density (2 + 1 + 0) / 3, covered 3. Real 0 and 1 are in 0.5's ball (and 1 in 4's); 10 is in 30's: recalled 3.
  const Neighbourhood n = neighbourhood({3, 1, {0.5, 4, 30}}, {3, 1, {0, 1, 10}}, 1);
  EXPECT_EQ(n.precise, 2);
  EXPECT_EQ(n.recalled, 3);
  EXPECT_EQ(n.covered, 3);
  EXPECT_NEAR(n.density.value, 1, 1e-12);
  EXPECT_NEAR(n.density.error, std::sqrt(1 / 3.0), 1e-12);
}

TEST(Neighbourhood, ASelectorThatKeepsOneModeLosesCoverage) {
  const Rows real = normal_rows(200, 4, 1), all = normal_rows(200, 4, 2), narrow = normal_rows(200, 4, 3, 0, 0.3);
  const Neighbourhood fair = neighbourhood(all, real, 5), gamed = neighbourhood(narrow, real, 5);
  EXPECT_GT(gamed.precise, fair.precise);
  EXPECT_LT(gamed.recalled, fair.recalled / 2);
  EXPECT_LT(gamed.covered, fair.covered / 2);
}

TEST(Evaluation, TooFewRowsAreRefused) {
  const Rows few = normal_rows(2, 3, 1), many = normal_rows(9, 3, 2);
  EXPECT_THROW(kernel_distance(few, many), Error);
  EXPECT_THROW(frechet_distance(many, few), Error);
  EXPECT_THROW(neighbourhood(many, many, 9), Error);
}

}  // namespace
}  // namespace echodiff
