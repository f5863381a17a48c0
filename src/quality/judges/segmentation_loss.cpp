#include "quality/judges/segmentation_loss.h"

#include "kernels/error.h"
#include "tensor/ops.h"

namespace echodiff {

Tensor dice_loss(const Tensor& logits, const Tensor& planes) {
  check(logits.rank() == 4 && logits.shape() == planes.shape(),
        "dice_loss: logits must be (N, classes, H, W) and planes", " the same, got ", logits.shape(), " and ",
        planes.shape());
  const Tensor p = sigmoid(logits);                // (N, classes, H, W)
  const Tensor both = sum(p * planes, {0, 2, 3});  // (1, classes, 1, 1)
  const Tensor all = sum(p + planes, {0, 2, 3});   // (1, classes, 1, 1)
  return affine(mean((both * 2 + 1) / (all + 1)), -1, 1);
}

Tensor segmentation_loss(const Tensor& logits, const Tensor& planes, double dice_weight) {
  const Tensor pixels = bce_with_logits(logits, planes);
  return dice_weight == 0 ? pixels : pixels + dice_loss(logits, planes) * dice_weight;
}

}  // namespace echodiff
