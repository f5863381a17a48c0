#include "kernels/attention.h"

#include <cmath>

#include "tensor/ops.h"

namespace echodiff {

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, double scale) {
  check(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) && heads >= 1 &&
            q.dim(2) % heads == 0,
        "attention: expected q (B, Lq, heads*d), k and v (B, Lk, heads*d) with ", heads, " heads, got ", q.shape(), ", ", k.shape(),
        " and ", v.shape());
  const int64_t d = q.dim(2) / heads;
  const AttentionGeometry g{q.dim(0), q.dim(1), k.dim(1), heads, d, scale == 0 ? 1 / std::sqrt(double(d)) : scale};
  Tensor y = empty_like(q);
  dispatch(q.dtype(), "attention",
           [&]<class T>(T) { cpu::attention_forward(g, q.data<T>(), k.data<T>(), v.data<T>(), y.mutable_data<T>()); });
  return record("attention", y, {q, k, v}, [=](const Tensor& dy) -> Gradients {
    Tensor dq = empty_like(q), dk = empty_like(k), dv = empty_like(v);
    dispatch(q.dtype(), "attention", [&]<class T>(T) {
      cpu::attention_backward(g, q.data<T>(), k.data<T>(), v.data<T>(), dy.data<T>(), dq.mutable_data<T>(), dk.mutable_data<T>(),
                              dv.mutable_data<T>());
    });
    return {dq, dk, dv};
  });
}

}  // namespace echodiff
