// What a segmenter is trained with: binary cross-entropy of each pixel, which is calm, and the Dice of each class,
// which counts a vein of fifty pixels as much as a liver of a thousand.
//
//   dice_loss = 1 - mean over classes of (2 sum p y + 1) / (sum p + sum y + 1)     p = sigmoid(logit)
//
// The sums go over all pixels of all pictures of the batch, so a picture without the class does no harm (Milletari et
// al. 2016, arXiv:1606.04797, without its squares; the ones keep a class that nobody shows defined).
#pragma once

#include "tensor/tensor.h"

namespace echodiff {

// logits, planes (N, classes, H, W), planes 0 or 1 -> a scalar in [0, 1]
Tensor dice_loss(const Tensor& logits, const Tensor& planes);

// bce_with_logits + dice_weight dice_loss
Tensor segmentation_loss(const Tensor& logits, const Tensor& planes, double dice_weight = 1);

}  // namespace echodiff
