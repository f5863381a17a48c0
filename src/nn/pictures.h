// A batch's pictures one after the other.
#pragma once

#include "nn/trace.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"

namespace echodiff {

// Whether x (N, ..) is several pictures of which each can go its way alone, so that its maps stay in cache: in
// inference on the CPU. A tape or a trace wants one tensor for all.
inline bool can_part(const Tensor& x) {
  return x.dim(0) > 1 && x.device() == Device::kCpu && !grad_enabled() && ActivationTrace::current() == nullptr;
}
inline Tensor picture(const Tensor& x, int64_t n) { return slice(x, 0, n, n + 1); }  // (N, ..) -> (1, ..)

}  // namespace echodiff
