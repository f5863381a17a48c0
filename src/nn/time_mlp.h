// The time step's way in: sinusoidal embedding (Vaswani et al. 2017), Linear, activation, Linear; dim -> 4 dim.
#pragma once

#include <array>

#include "nn/linear.h"

namespace echodiff {

enum class TimeMlpStyle {
  lucidrains,  // sin | cos, frequencies over half - 1, exact GELU; layers 1 and 3 of a Sequential
  guided,      // cos | sin, frequencies over half, SiLU; layers 0 and 2
};

class TimeMlp : public Module {
 public:
  TimeMlp(int64_t dim, TimeMlpStyle style);
  Tensor operator()(const Tensor& t) const;  // t (N) i64 -> (N, 4 dim), in the parameters' dtype whatever x has
  void visit(Visitor& v) override;

 private:
  int64_t dim_;
  TimeMlpStyle style_;
  Linear first_, second_;
};

}  // namespace echodiff
