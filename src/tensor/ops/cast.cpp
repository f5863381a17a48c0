#include "tensor/ops.h"
#include "tensor/ops/precision.h"

namespace echodiff {

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  check(x.dtype() != DType::i64 && dtype != DType::i64, "cast: ", name_of(x.dtype()), " to ", name_of(dtype),
        "; only floating-point types have a gradient, others convert by to()");
  return record("cast", x.to(dtype), {x},
                [before = x.dtype()](const Tensor& dy) -> Gradients { return {dy.to(before)}; });
}

Tensor rounded_like(const Tensor& x, const Tensor& e) {
  return e && x.dtype() == DType::bf16 ? cast(e, DType::bf16) : e;
}

}  // namespace echodiff
