// Features of our own domain: what a ResNet-18 hands to its last layer (ResNet18::features), one row a picture.
#pragma once

#include <vector>

#include "quality/evaluate/rows.h"
#include "quality/judges/scorer.h"

namespace echodiff {

// images of one size, resized by area to the network's where that is known and another. One channel sees [-1, 1], as
// dtrain scorer feeds it; three see the grey three times, scaled as torchvision's ImageNet weights expect
// ((x - mean) / deviation of [0, 1] by channel). A picture's features don't depend on the others. Throws
// Error(kBadInput) for a network of another number of channels.
Rows features_of(const ResNet18Run& run, const std::vector<GrayImage>& images);

}  // namespace echodiff
