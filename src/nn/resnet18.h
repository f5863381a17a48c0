// ResNet-18 (He et al. 2016, arXiv:1512.03385) in torchvision's layout and with its initial values.
#pragma once

#include <optional>
#include <vector>

#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace echodiff {

struct ResNet18Options {
  int64_t in_channels = 1;
  int64_t classes = 1;  // 1: a single logit
  int64_t width = 64;   // channels of the first stage; the others have 2, 4 and 8 times as many
};

// conv 3x3, norm, ReLU, conv 3x3, norm, plus the input (through 1x1 and norm where the shape changes), ReLU.
class BasicBlock : public Module {
 public:
  BasicBlock(int64_t in, int64_t out, int64_t stride);
  Tensor operator()(const Tensor& x) const;
  void visit(Visitor& v) override;

 private:
  Conv2d conv1_;
  BatchNorm2d bn1_;
  Conv2d conv2_;
  BatchNorm2d bn2_;
  std::optional<Conv2d> downsample_conv_;
  std::optional<BatchNorm2d> downsample_bn_;
};

class ResNet18 : public Module {
 public:
  ResNet18(const ResNet18Options& options, uint64_t seed);

  Tensor operator()(const Tensor& x) const { return fc_(features(x)); }  // x (N, in, H, W) -> logits (N, classes)
  Tensor features(const Tensor& x) const;                                // -> (N, 8 width), before the last layer
  void visit(Visitor& v) override;

 private:
  ResNet18Options options_;
  Conv2d conv1_;
  BatchNorm2d bn1_;
  std::vector<BasicBlock> layer1_, layer2_, layer3_, layer4_;
  Linear fc_;
};

}  // namespace echodiff
