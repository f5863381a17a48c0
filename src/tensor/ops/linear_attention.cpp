#include "kernels/linear_attention.h"

#include "tensor/ops.h"
#include "tensor/ops/attention_operands.h"

namespace echodiff {
namespace {

Tensor attend(const AttentionOperands& operands) {
  const AttentionGeometry& g = operands.geo;
  const DType dtype = operands.inputs[0].dtype();
  Tensor y = empty(operands.output_shape(), dtype), largest = empty({g.B, g.heads, g.d}, dtype), total = empty_like(largest),
         context = empty({g.B, g.heads, g.d * g.d}, dtype);
  dispatch(dtype, "linear_attention", [&]<class T>(T) {
    const LinearAttentionState<T> state{largest.mutable_data<T>(), total.mutable_data<T>(), context.mutable_data<T>()};
    cpu::linear_attention_forward(g, operands.pointers<T>(), state, y.mutable_data<T>());
  });
  return record("linear_attention", y, operands.inputs, [=](const Tensor& dy) -> Gradients {
    Gradients gradients = operands.make_gradients();
    dispatch(dtype, "linear_attention", [&]<class T>(T) {
      const LinearAttentionState<const T> state{largest.data<T>(), total.data<T>(), context.data<T>()};
      cpu::linear_attention_backward(operands.geo, operands.pointers<T>(), state, dy.data<T>(), operands.pointers<T>(gradients));
    });
    return gradients;
  });
}

}  // namespace

Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads) {
  return attend(attention_operands("linear_attention", q, k, v, heads, 0));
}

Tensor linear_self_attention(const Tensor& qkv, const Tensor& memory, int64_t heads) {
  return attend(self_attention_operands("linear_self_attention", qkv, memory, heads));
}

}  // namespace echodiff
