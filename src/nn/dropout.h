// torch.nn.Dropout. What it drops is a function of the seed given by Module::seed_dropout and of the layer's name.
#pragma once

#include "nn/init.h"
#include "nn/module.h"
#include "tensor/ops.h"

namespace echodiff {

class Dropout : public Module {
 public:
  explicit Dropout(double p) : p_(p) {}

  Tensor operator()(const Tensor& x) const {
    return traced(training() && p_ > 0 ? dropout(x, p_, seed_, fnv1a(name())) : x);
  }

  void visit(Visitor&) override {}

 protected:
  void set_dropout_seed(uint64_t seed) override { seed_ = seed; }

 private:
  double p_;
  uint64_t seed_ = 0;
};

}  // namespace echodiff
