// torch.nn.Conv2d with a square kernel.
#pragma once

#include "nn/init.h"
#include "nn/module.h"
#include "tensor/ops.h"

namespace echodiff {

struct Conv2dLayerOptions {
  int64_t kernel = 1, stride = 1, padding = 0;
  bool bias = true;
  Init init = Init::torch;
};

class Conv2d : public Module {
 public:
  Conv2d(int64_t in_channels, int64_t out_channels, const Conv2dLayerOptions& options = {})
      : options_(options), weight_(make_parameter({out_channels, in_channels, options.kernel, options.kernel})) {
    if (options.bias) bias_ = make_parameter({out_channels});
  }

  // x (N, in, H, W) -> (N, out, H', W')
  Tensor operator()(const Tensor& x) const {
    const Conv2dOptions geometry{.stride = {options_.stride, options_.stride},
                                 .padding = {options_.padding, options_.padding}};
    return traced(conv2d(x, weight_, bias_, geometry));
  }
  DType dtype() const { return weight_.dtype(); }  // of the parameters

  void visit(Visitor& v) override {
    v.parameter("weight", weight_);
    if (bias_) v.parameter("bias", bias_);
  }

 protected:
  void reset_parameters(const Initialiser& init) override { init.layer(weight_, bias_, options_.init); }

 private:
  Conv2dLayerOptions options_;
  Tensor weight_;  // (out, in, kernel, kernel)
  Tensor bias_;    // (out) or undefined
};

}  // namespace echodiff
