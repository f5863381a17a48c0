// Normalisation layers: torch.nn.GroupNorm, torch.nn.BatchNorm2d and lucidrains' RMSNorm over channels.
#pragma once

#include "nn/init.h"
#include "nn/module.h"
#include "tensor/ops.h"

namespace echodiff {

class GroupNorm : public Module {
 public:
  GroupNorm(int64_t groups, int64_t channels, double eps = 1e-5);
  Tensor operator()(const Tensor& x) const { return traced(group_norm(x, groups_, weight_, bias_, eps_)); }
  // silu((*this)(x) * (1 + scale) + shift); scale_and_shift (N, 2 channels) or undefined. In one pass, unless an
  // ActivationTrace wants the norm's own output.
  Tensor silu(const Tensor& x, const Tensor& scale_and_shift = {}) const;
  void visit(Visitor& v) override;

 protected:
  void reset_parameters(const Initialiser& init) override;

 private:
  int64_t groups_;
  double eps_;
  Tensor weight_, bias_;  // (C)
};

// x / ||x||_2 * g * sqrt(C), the norm over the channels of each pixel.
class RMSNorm : public Module {
 public:
  explicit RMSNorm(int64_t channels) : g_(make_parameter({1, channels, 1, 1})) {}
  Tensor operator()(const Tensor& x) const { return traced(rms_norm(x, g_)); }
  Tensor silu(const Tensor& x, const Tensor& scale_and_shift = {}) const;  // as GroupNorm's
  void visit(Visitor& v) override { v.parameter("g", g_); }

 protected:
  void reset_parameters(const Initialiser& init) override { init.constant(g_, 1); }

 private:
  Tensor g_;
};

// In training mode each call moves the running statistics, although the call is const: they are buffers, not weights.
class BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int64_t channels);
  Tensor operator()(const Tensor& x) const;
  // relu((*this)(x) + residual), residual undefined for none.
  // In one pass, unless an ActivationTrace wants the norm's own output.
  Tensor relu(const Tensor& x, const Tensor& residual = {}) const;
  void visit(Visitor& v) override;

 protected:
  void reset_parameters(const Initialiser& init) override;

 private:
  void count_batch() const;
  Tensor weight_, bias_, running_mean_, running_var_;  // (C)
  Tensor num_batches_tracked_;                         // i64 scalar
};

}  // namespace echodiff
