// A plain convolutional network without shortcuts: the architecture of a second judge, which shares no design with the
// first. Four times conv 3x3 with stride 2, batch norm, ReLU; a mean over the picture; one logit.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/conv2d.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace echodiff {

struct PlainCnnOptions {
  int64_t in_channels = 1;
  int64_t width = 16;  // channels of the first layer; the others have 2, 4 and 4 times as many
};

class PlainCnn : public Module {
 public:
  PlainCnn(const PlainCnnOptions& options, uint64_t seed);

  Tensor operator()(const Tensor& x) const;  // x (N, in, H, W) -> logits (N, 1)
  void visit(Visitor& v) override;

 private:
  PlainCnnOptions options_;
  std::vector<Conv2d> convs_;
  std::vector<BatchNorm2d> norms_;
  Linear fc_;
};

}  // namespace echodiff
