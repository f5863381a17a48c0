// SPADE, spatially adaptive normalisation (Park et al. 2019, arXiv:1903.07291), as the Semantic Diffusion Model uses it
// (Wang et al. 2022, arXiv:2207.00050): GroupNorm(32) without weights, whose scale and shift are drawn from the masks:
//   y = norm(x) (1 + gamma(c)) + beta(c),   gamma, beta = conv3x3(relu(conv3x3(c)))
#pragma once

#include "nn/conv2d.h"

namespace echodiff {

class Spade : public Module {
 public:
  Spade(int64_t channels, int64_t planes);
  // x (N, C, H, W), masks (N, P, any size): resized to H, W by nearest neighbour -> (N, C, H, W)
  Tensor operator()(const Tensor& x, const Tensor& masks) const;
  void visit(Visitor& v) override;

 private:
  Conv2d shared_, gamma_, beta_;
};

}  // namespace echodiff
