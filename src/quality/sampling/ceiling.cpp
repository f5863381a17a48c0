#include "quality/sampling/ceiling.h"

#include <limits>

#include "kernels/error.h"
#include "kernels/philox.h"

namespace echodiff {
namespace {

double win(int64_t score, int64_t other) { return score > other ? 1 : score == other ? 0.5 : 0; }

}  // namespace

NoiseSource branched_noise(const NoiseSource& own, uint64_t seed, int64_t branches, int64_t calls) {
  const auto fill = [=](int64_t index, int64_t draw, float* out, int64_t count) {
    if (draw <= calls) return own(index / branches, draw, out, count);  // draw 0 is x_T, draw k that of call k
    fill_normal(out, count, seed, uint64_t(index), uint64_t(draw));
  };
  return {fill};
}

CeilingAuroc ceiling_auroc(const std::vector<int64_t>& good, int64_t branches) {
  check(branches >= 2, "ceiling_auroc: expected at least 2 branches, found ", branches);
  double pairs = 0, upper = 0, lower = 0;
  for (size_t i = 0; i < good.size(); ++i)
    for (size_t j = 0; j < good.size(); ++j) {
      if (i == j) continue;
      const double count = double(good[i]) * double(branches - good[j]);  // a good ending of i, a poor one of j
      pairs += count;
      upper += count * win(good[i], good[j]);
      lower += count * win(good[i] - 1, good[j]);  // without the ending itself
    }
  if (pairs == 0) return {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
  return {upper / pairs, lower / pairs};
}

}  // namespace echodiff
