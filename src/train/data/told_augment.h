// Augmentation that samples don't show: the network is told what was done to a picture, in labels that are all zero for
// a picture as it was, and when sampling. Karras et al. 2022, arXiv:2206.00364, appendix F.2.
//
//   label 0, 1   zoom         log2 of the factor along x and along y
//         2, 3   turn         cos - 1 and sin of the angle
//         4, 5   shift        along x and along y, as shares of the side
//         6      gain         log2 of the factor on grey
//         7      depth gain   log2 of that factor's change from the top to the bottom: gain set wrong, attenuation
//         8, 9   shadow       share of grey lost in the middle of a dark band from top to bottom; where it is, -1 to 1
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace echodiff {

constexpr int64_t kAugmentLabels = 10;

// Does each of the six kinds with `probability`. image: (size, size) in [-1, 1]; planes: (size, size, plane_count), the
// sector last; labels: (kAugmentLabels). Zoom, turn and shift move picture and masks together; the others change what
// lies inside the sector. Outside of it, and where nothing came from, the picture is black.
void augment_and_tell(double probability, Random random, int64_t size, int64_t plane_count, float* image, float* planes,
                      float* labels);

}  // namespace echodiff
