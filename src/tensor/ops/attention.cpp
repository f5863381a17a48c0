#include "kernels/attention.h"

#include <cmath>

#include "tensor/dispatch.h"
#include "tensor/ops.h"
#include "tensor/ops/attention_operands.h"
#include "tensor/ops/precision.h"

namespace echodiff {
namespace {

double scale_for(int64_t d) { return 1 / std::sqrt(double(d)); }

Tensor attend(const AttentionOperands& operands) {
  const AttentionGeometry& g = operands.geo;
  Tensor y = empty(operands.output_shape(), operands.inputs[0]);
  Tensor output, lse;  // what backward on the device needs
  dispatch(
      y, "attention", [&]<class T>(T) { cpu::attention_forward(g, operands.pointers<T>(), y.mutable_data<T>()); },
      [&]<class T>(DeviceCall& gpu) {
        output = y.detach();
        lse = empty_statistics({g.B, g.heads, g.Lq}, y);
        cuda::attention_forward(g, operands.pointers<T>(Device::kCuda), gpu.out<T>(y), gpu.out(lse), gpu.stream());
      });
  return record("attention", y, operands.inputs, [=](const Tensor& dy) -> Gradients {
    Gradients gradients = operands.make_gradients();
    dispatch(
        dy, "attention",
        [&]<class T>(T) {
          cpu::attention_backward(operands.geo, operands.pointers<T>(), dy.data<T>(), operands.pointers<T>(gradients));
        },
        [&]<class T>(DeviceCall& gpu) {
          cuda::attention_backward(operands.geo, operands.pointers<T>(Device::kCuda), gpu.in<T>(output), gpu.in(lse),
                                   gpu.in<T>(dy), operands.pointers<T>(gradients, Device::kCuda),
                                   gpu.scratch<float>(cuda::attention_backward_scratch(operands.geo)), gpu.stream());
        });
    return gradients;
  });
}

}  // namespace

AttentionOperands attention_operands(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                                     double scale) {
  check(q.rank() == 3 && k.rank() == 3 && k.shape() == v.shape() && q.dim(0) == k.dim(0) && q.dim(2) == k.dim(2) &&
            heads >= 1 && q.dim(2) % heads == 0,
        op, ": expected q (B, Lq, heads*d), k and v (B, Lk, heads*d) with ", heads, " heads, got ", q.shape(), ", ",
        k.shape(), " and ", v.shape());
  const int64_t width = q.dim(2), d = width / heads;
  return {{q, k, v}, {q.dim(0), q.dim(1), k.dim(1), heads, d, scale == 0 ? scale_for(d) : scale, 0, width, width}};
}

AttentionOperands self_attention_operands(const char* op, const Tensor& qkv, const Tensor& learned, int64_t heads) {
  const Tensor memory = rounded_like(qkv, learned);
  check(qkv.rank() == 3 && heads >= 1 && qkv.dim(2) % (3 * heads) == 0, op, ": expected qkv (B, L, 3*heads*d) with ",
        heads, " heads, got ", qkv.shape());
  const int64_t width = qkv.dim(2) / 3, L = qkv.dim(1);
  check(!memory || (memory.rank() == 3 && memory.dim(0) == 2 && memory.dim(2) == width), op,
        ": expected memory (2, M, ", width, "), got ", memory ? memory.shape() : Shape());
  return {{qkv, memory},
          {qkv.dim(0), L, L, heads, width / heads, scale_for(width / heads), memory ? memory.dim(1) : 0, 3 * width,
           3 * width}};
}

Gradients AttentionOperands::make_gradients() const {
  Gradients gradients;
  for (const Tensor& input : inputs) gradients.push_back(input ? empty_like(input) : Tensor());
  return gradients;
}

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, double scale) {
  return attend(attention_operands("attention", q, k, v, heads, scale));
}

Tensor self_attention(const Tensor& qkv, const Tensor& memory, int64_t heads) {
  return attend(self_attention_operands("self_attention", qkv, memory, heads));
}

}  // namespace echodiff
