// The value network: ResNet's residual blocks, each followed by a scale and shift from the noise level (FiLM, Perez et
// al. 2018, arXiv:1709.07871), a mean over the picture, one logit. Batch norm, not group norm: the amplitude of a
// picture's texture, which sharpness and noise are made of, stays visible.
#pragma once

#include <cstdint>
#include <vector>

#include "nn/resnet18.h"
#include "nn/time_mlp.h"

namespace echodiff {

struct ValueNetOptions {
  int64_t in_channels = 4;  // picture and masks
  int64_t width = 16;       // channels of the first stage, at half resolution; the others have 2 and 4 times as many
};

class ValueNet : public Module {
 public:
  ValueNet(const ValueNetOptions& options, uint64_t seed);

  // x (N, in, H, W); level (N) i64, a noise level for the sinusoidal embedding -> logits (N, 1)
  Tensor operator()(const Tensor& x, const Tensor& level) const;
  void visit(Visitor& v) override;

 private:
  ValueNetOptions options_;
  Conv2d conv1_;
  BatchNorm2d bn1_;
  TimeMlp time_mlp_;
  std::vector<BasicBlock> blocks_;
  std::vector<Linear> films_;  // of each block
  Linear fc_;
};

}  // namespace echodiff
