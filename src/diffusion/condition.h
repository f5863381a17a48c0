// Classifier-free guidance over masks (Ho & Salimans 2022, arXiv:2207.12598; over label maps: Wang et al. 2022, SDM).
//
//   guided = uncond + g (cond - uncond)
// "Unconditional" here means without organs: every plane but the last is zero. The last plane, the sector, stays: it
// says where the picture is, not what it shows, and a guided picture should not be pushed out of its sector.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

// condition (N, P, H, W) -> the same with planes 0..P-2 zero.
Tensor without_organs(const Tensor& condition);

// Those of `numbers`, in that order: (1, P, H, W) each -> (n, P, H, W).
Tensor stack_conditions(const std::vector<Tensor>& conditions, const std::vector<int64_t>& numbers);

// For training: each sample loses its organs with `probability`, decided by (seed, stream, n). Probability 0 returns
// `condition` itself.
Tensor drop_organs(const Tensor& condition, double probability, uint64_t seed, uint64_t stream);

// For training: what was done to each picture as further planes, each of one value. condition (N, P, H, W),
// labels (N, L) -> (N, P + L, H, W).
Tensor with_labels(const Tensor& condition, const Tensor& labels);

// Network calls of a step at this scale.
inline int64_t calls_per_step(double scale) { return scale == 1 ? 1 : 2; }

// Both (N, C, H, W); scale 1 is `conditional`.
Tensor guide(const Tensor& conditional, const Tensor& unconditional, double scale);

}  // namespace echodiff
