#include "quality/radiomics/ngtdm.h"

#include <cmath>

namespace echodiff {
namespace {

struct Differences {
  double pixels = 0;                         // of the region
  std::vector<double> level, share, summed;  // of the levels that are there: their differences' sum
};

// How far the level at (y, x) is from its neighbours' mean; 0 without any.
double difference_at(const GreyLevels& levels, int64_t y, int64_t x) {
  double sum = 0, count = 0;
  for (int64_t dy = -1; dy <= 1; ++dy)
    for (int64_t dx = -1; dx <= 1; ++dx) {
      const int64_t other = dy == 0 && dx == 0 ? 0 : levels.at(y + dy, x + dx);
      sum += double(other);
      count += other > 0;
    }
  return count > 0 ? std::abs(double(levels.at(y, x)) - sum / count) : 0;
}

Differences differences_of(const GreyLevels& levels) {
  std::vector<double> pixels(size_t(levels.count + 1)), summed(pixels.size());
  Differences out;
  for (int64_t y = 0; y < levels.height; ++y)
    for (int64_t x = 0; x < levels.width; ++x) {
      const int64_t level = levels.at(y, x);
      if (level == 0) continue;
      pixels[size_t(level)] += 1;
      summed[size_t(level)] += difference_at(levels, y, x);
      out.pixels += 1;
    }
  for (size_t level = 1; level < pixels.size(); ++level) {
    if (pixels[level] == 0) continue;
    out.level.push_back(double(level));
    out.share.push_back(pixels[level] / out.pixels);
    out.summed.push_back(summed[level]);
  }
  return out;
}

}  // namespace

Features ngtdm_features(const GreyLevels& levels) {
  const Differences of = differences_of(levels);
  const size_t count = of.level.size();
  const double none = std::numeric_limits<double>::quiet_NaN();
  if (count == 0)
    return {{"Coarseness", none}, {"Contrast", none}, {"Busyness", none}, {"Complexity", none}, {"Strength", none}};
  double summed = 0, shared = 0;  // differences; weighed by their levels' shares
  double spread = 0, unlike = 0, complexity = 0, strength = 0;
  for (size_t i = 0; i < count; ++i) {
    const double p = of.share[i], level = of.level[i], share_of_sum = p * of.summed[i];
    summed += of.summed[i];
    shared += share_of_sum;
    for (size_t j = 0; j < count; ++j) {
      const double q = of.share[j], other = of.level[j], apart = level - other;
      spread += p * q * apart * apart;
      unlike += std::abs(level * p - other * q);
      complexity += std::abs(apart) * (share_of_sum + q * of.summed[j]) / (p + q);
      strength += (p + q) * apart * apart;
    }
  }
  const double pairs = double(count * (count - 1));
  return {{"Coarseness", shared > 0 ? 1 / shared : 1e6},
          {"Contrast", pairs > 0 ? spread * summed / of.pixels / pairs : 0},
          {"Busyness", unlike > 0 ? shared / unlike : 0},
          {"Complexity", complexity / of.pixels},
          {"Strength", summed > 0 ? strength / summed : 0}};
}

}  // namespace echodiff
