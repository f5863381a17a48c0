#include "kernels/linear_attention.h"

#include "tensor/ops.h"

namespace echodiff {

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  check(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) && heads >= 1 &&
            q.dim(2) % heads == 0,
        "linear_attention: expected q (B, Lq, heads*d), k and v (B, Lk, heads*d) with ", heads, " heads, got ", q.shape(), ", ",
        k.shape(), " and ", v.shape());
  const LinearAttentionGeometry g{q.dim(0), q.dim(1), k.dim(1), heads, q.dim(2) / heads};
  Tensor y = empty_like(q), qs = empty_like(q), ks = empty_like(k), context = empty({g.B, g.heads, g.d * g.d}, q.dtype());
  dispatch(q.dtype(), "linear_attention", [&]<class T>(T) {
    cpu::linear_attention_forward(g, q.data<T>(), k.data<T>(), v.data<T>(), qs.mutable_data<T>(), ks.mutable_data<T>(),
                                  context.mutable_data<T>(), y.mutable_data<T>());
  });
  return record("linear_attention", y, {q, k, v}, [=](const Tensor& dy) -> Gradients {
    Tensor dq = empty_like(q), dk = empty_like(k), dv = empty_like(v);
    dispatch(q.dtype(), "linear_attention", [&]<class T>(T) {
      cpu::linear_attention_backward(g, qs.data<T>(), ks.data<T>(), v.data<T>(), context.data<T>(), dy.data<T>(), dq.mutable_data<T>(),
                                     dk.mutable_data<T>(), dv.mutable_data<T>());
    });
    return {dq, dk, dv};
  });
}

}  // namespace echodiff
