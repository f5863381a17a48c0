// Random values and their comparison.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace echodiff::cuda {

inline std::vector<float> normal(int64_t count, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> draw;
  std::vector<float> out(size_t(count), 0.0f);
  for (float& each : out) each = draw(generator);
  return out;
}

inline void expect_close(const std::vector<float>& got, const std::vector<float>& expected, float tolerance = 1e-4f) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], expected[i], tolerance * (1 + std::fabs(expected[i]))) << "at " << i;
}

}  // namespace echodiff::cuda
