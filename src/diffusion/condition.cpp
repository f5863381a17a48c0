#include "diffusion/condition.h"

#include <algorithm>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

void clear_organs(float* sample, int64_t pixels, int64_t planes) {  // channels last: planes lie next to each other
  for (int64_t i = 0; i < pixels; ++i) std::fill(sample + i * planes, sample + i * planes + planes - 1, 0.0f);
}

}  // namespace

Tensor without_organs(const Tensor& condition) { return drop_organs(condition, 1, 0, 0); }

Tensor stack_conditions(const std::vector<Tensor>& conditions, const std::vector<int64_t>& numbers) {
  std::vector<Tensor> parts;
  for (const int64_t number : numbers) parts.push_back(conditions.at(size_t(number)));
  return concat(parts, 0);
}

Tensor drop_organs(const Tensor& condition, double probability, uint64_t seed, uint64_t stream) {
  check(condition.rank() == 4, "drop_organs: condition must be (N, P, H, W), got ", condition.shape());
  check(probability >= 0 && probability <= 1, "drop_organs: probability must be 0..1, got ", probability);
  if (probability == 0) return condition;
  Tensor out = condition.clone();
  const int64_t planes = condition.dim(1), pixels = condition.dim(2) * condition.dim(3);
  Random random(seed, stream);
  for (int64_t n = 0; n < condition.dim(0); ++n)
    if (random.uniform() < probability) clear_organs(out.mutable_data<float>() + n * pixels * planes, pixels, planes);
  return out;
}

Tensor with_labels(const Tensor& condition, const Tensor& labels) {
  check(condition.rank() == 4 && labels.rank() == 2 && labels.dim(0) == condition.dim(0),
        "with_labels: expected (N, P, H, W) and (N, L), got ", condition.shape(), " and ", labels.shape());
  const int64_t N = labels.dim(0), L = labels.dim(1), pixels = condition.dim(2) * condition.dim(3);
  Tensor planes = empty({N, L, condition.dim(2), condition.dim(3)});
  const float* from = labels.data<float>();
  float* to = planes.mutable_data<float>();
  for (int64_t n = 0; n < N; ++n)  // channels last
    for (int64_t i = 0; i < pixels; ++i) std::copy_n(from + n * L, L, to + (n * pixels + i) * L);
  return concat({condition, planes}, 1);
}

Tensor guide(const Tensor& conditional, const Tensor& unconditional, double scale) {
  check(conditional.shape() == unconditional.shape(), "guide: shapes differ: ", conditional.shape(), " and ",
        unconditional.shape());
  const NoGrad no_grad;
  const Tensor factor = full({}, scale, conditional.dtype(), conditional.device());
  return unconditional + factor * (conditional - unconditional);
}

}  // namespace echodiff
