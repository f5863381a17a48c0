#include "kernels/linear_attention.h"

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/attention_operands.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

Tensor attend(const AttentionOperands& operands) {
  const AttentionGeometry& g = operands.geo;
  Tensor y = empty(operands.output_shape(), operands.inputs[0]), largest = empty_statistics({g.B, g.heads, g.d}, y),
         total = empty_like(largest), context = empty_statistics({g.B, g.heads, g.d * g.d}, y);
  dispatch(
      y, "linear_attention",
      [&]<class T>(T) {
        const LinearAttentionState<T> state{largest.mutable_data<T>(), total.mutable_data<T>(),
                                            context.mutable_data<T>()};
        cpu::linear_attention_forward(g, operands.pointers<T>(), state, y.mutable_data<T>());
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::linear_attention_forward(g, operands.pointers<T>(Device::kCuda),
                                       {gpu.out(largest), gpu.out(total), gpu.out(context)}, gpu.out<T>(y),
                                       gpu.scratch<float>(cuda::linear_attention_scratch(g)), gpu.stream());
      });
  return record("linear_attention", y, operands.inputs, [=](const Tensor& dy) -> Gradients {
    Gradients gradients = operands.make_gradients();
    dispatch(
        dy, "linear_attention",
        [&]<class T>(T) {
          const LinearAttentionState<const T> state{largest.data<T>(), total.data<T>(), context.data<T>()};
          cpu::linear_attention_backward(operands.geo, operands.pointers<T>(), state, dy.data<T>(),
                                         operands.pointers<T>(gradients));
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::linear_attention_backward(
              operands.geo, operands.pointers<T>(Device::kCuda), {gpu.in(largest), gpu.in(total), gpu.in(context)},
              gpu.in<T>(dy), operands.pointers<T>(gradients, Device::kCuda),
              gpu.scratch<float>(cuda::linear_attention_scratch(operands.geo)), gpu.stream());
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
