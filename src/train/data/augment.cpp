#include "train/data/augment.h"

#include <algorithm>
#include <cmath>

namespace echodiff {

void flip_rows(float* image, int64_t size, int64_t channels) {
  for (int64_t row = 0; row < size; ++row)
    for (int64_t left = 0, right = size - 1; left < right; ++left, --right)
      std::swap_ranges(image + (row * size + left) * channels, image + (row * size + left + 1) * channels,
                       image + (row * size + right) * channels);
}

void augment(const AugmentOptions& options, Random random, int64_t size, int64_t plane_count, float* image,
             float* planes) {
  // All three are drawn always, so that switching one off doesn't change the others.
  const bool flipped = random.uniform() < 0.5;
  const float exponent = float(std::exp(random.uniform(-options.gamma, options.gamma)));
  const float gain = float(1 + random.uniform(-options.gain, options.gain));
  if (options.flip && flipped) {
    flip_rows(image, size, 1);
    flip_rows(planes, size, plane_count);
  }
  if (options.gamma == 0 && options.gain == 0) return;
  for (int64_t i = 0; i < size * size; ++i) {
    if (planes[i * plane_count + plane_count - 1] == 0) continue;
    const float grey = std::max(0.0f, (image[i] + 1) / 2);
    image[i] = std::min(1.0f, gain * std::pow(grey, exponent)) * 2 - 1;
  }
}

}  // namespace echodiff
