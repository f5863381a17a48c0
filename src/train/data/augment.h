// Light augmentation of a training picture. What it changes must not turn up in generated pictures: a flip mirrors the
// picture and its masks together, and grey levels change within the sector only. Everything is off by default:
// flipping suits data without a fixed left and right, and a changed grey scale is learned as such. What the network is
// told of it need not learn as such: told_augment.h.
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace echodiff {

struct AugmentOptions {
  bool flip = false;  // mirror left and right, every other picture
  double gamma = 0;   // grey^g with log g uniform in [-gamma, gamma]
  double gain = 0;    // grey times a factor uniform in [1 - gain, 1 + gain]
  double told = 0;    // probability of each kind that the network is told of (told_augment.h)

  bool any() const { return flip || gamma > 0 || gain > 0; }
};

// Mirrors an image (size, size, channels) left to right, in place.
void flip_rows(float* image, int64_t size, int64_t channels);

// Changes one example in place. image: (size, size) in [-1, 1]; planes: (size, size, plane_count), the sector last.
void augment(const AugmentOptions& options, Random random, int64_t size, int64_t plane_count, float* image,
             float* planes);

}  // namespace echodiff
