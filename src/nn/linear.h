// torch.nn.Linear.
#pragma once

#include "nn/init.h"
#include "nn/module.h"
#include "tensor/ops.h"

namespace echodiff {

class Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features)
      : weight_(make_parameter({out_features, in_features})), bias_(make_parameter({out_features})) {}

  Tensor operator()(const Tensor& x) const { return traced(linear(x, weight_, bias_)); }  // x (.., in) -> (.., out)
  DType dtype() const { return weight_.dtype(); }                                         // of the parameters

  void visit(Visitor& v) override {
    v.parameter("weight", weight_);
    v.parameter("bias", bias_);
  }

 protected:
  void reset_parameters(const Initialiser& init) override { init.layer(weight_, bias_, Init::torch); }

 private:
  Tensor weight_, bias_;  // (out, in), (out)
};

}  // namespace echodiff
