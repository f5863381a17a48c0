#include "nn/norm.h"

#include "nn/trace.h"

namespace echodiff {
namespace {

template <class Norm> Tensor silu_step_by_step(const Norm& norm, const Tensor& x, const Tensor& scale_and_shift) {
  const Tensor h = norm(x);
  return silu(scale_and_shift ? scale_shift(h, scale_and_shift) : h);
}

}  // namespace

GroupNorm::GroupNorm(int64_t groups, int64_t channels, double eps)
    : groups_(groups), eps_(eps), weight_(make_parameter({channels})), bias_(make_parameter({channels})) {
  check_input(channels % groups == 0, Fault::kUsage, "group norm: ", channels, " channels are not a multiple of ",
              groups, " groups; choose a width that is");
}

Tensor GroupNorm::silu(const Tensor& x, const Tensor& scale_and_shift) const {
  if (ActivationTrace::current() != nullptr) return silu_step_by_step(*this, x, scale_and_shift);
  return group_norm_silu(x, groups_, weight_, bias_, eps_, scale_and_shift);
}

Tensor RMSNorm::silu(const Tensor& x, const Tensor& scale_and_shift) const {
  if (ActivationTrace::current() != nullptr) return silu_step_by_step(*this, x, scale_and_shift);
  return rms_norm_silu(x, g_, scale_and_shift);
}

void GroupNorm::visit(Visitor& v) {
  v.parameter("weight", weight_);
  v.parameter("bias", bias_);
}

void GroupNorm::reset_parameters(const Initialiser& init) {
  init.constant(weight_, 1);
  init.constant(bias_, 0);
}

BatchNorm2d::BatchNorm2d(int64_t channels)
    : weight_(make_parameter({channels})),
      bias_(make_parameter({channels})),
      running_mean_(zeros({channels})),
      running_var_(full({channels}, 1)),
      num_batches_tracked_(zeros({}, DType::i64)) {}

void BatchNorm2d::count_batch() const {
  if (!training()) return;
  Tensor batches = num_batches_tracked_;
  ++*batches.mutable_data<int64_t>();
}

Tensor BatchNorm2d::operator()(const Tensor& x) const {
  Tensor mean = running_mean_, var = running_var_;  // handles on the same memory
  count_batch();
  return traced(batch_norm(x, weight_, bias_, mean, var, {.training = training()}));
}

Tensor BatchNorm2d::relu(const Tensor& x, const Tensor& residual) const {
  if (ActivationTrace::current() != nullptr) return echodiff::relu(residual ? (*this)(x) + residual : (*this)(x));
  Tensor mean = running_mean_, var = running_var_;
  count_batch();
  return batch_norm_relu(x, weight_, bias_, mean, var, residual, {.training = training()});
}

void BatchNorm2d::visit(Visitor& v) {
  v.parameter("weight", weight_);
  v.parameter("bias", bias_);
  v.buffer("running_mean", running_mean_);
  v.buffer("running_var", running_var_);
  v.buffer("num_batches_tracked", num_batches_tracked_);
}

void BatchNorm2d::reset_parameters(const Initialiser& init) {
  init.constant(weight_, 1);
  init.constant(bias_, 0);
}

}  // namespace echodiff
