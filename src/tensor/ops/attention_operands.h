// What attention and linear_attention share: their operands, as three tensors or as one with the memory beside it.
#pragma once

#include "kernels/attention.h"
#include "tensor/autograd.h"
#include "tensor/tensor.h"

namespace echodiff {

struct AttentionOperands {
  PoolVector<Tensor> inputs;  // {q, k, v}, or {qkv, memory}
  AttentionGeometry geo;

  bool joined() const { return inputs.size() == 2; }
  Shape output_shape() const { return {geo.B, geo.Lq, geo.width()}; }
  template <class T> AttentionInputs<T> pointers(Device device = Device::kCpu) const {
    const T* first = inputs[0].data<T>(device);
    if (!joined()) return {first, inputs[1].data<T>(device), inputs[2].data<T>(device), nullptr};
    return {first, element(first, geo.width()), element(first, 2 * geo.width()),
            inputs[1] ? inputs[1].data<T>(device) : nullptr};
  }
  // One gradient per input, uninitialised; and where in them the kernels write.
  Gradients make_gradients() const;
  template <class T> AttentionGradients<T> pointers(Gradients& gradients, Device device = Device::kCpu) const {
    T* first = gradients[0].mutable_data<T>(device);
    if (!joined()) return {first, gradients[1].mutable_data<T>(device), gradients[2].mutable_data<T>(device), nullptr};
    return {first, element(first, geo.width()), element(first, 2 * geo.width()),
            gradients[1] ? gradients[1].mutable_data<T>(device) : nullptr};
  }
};

// Check the shapes; scale 0 means d^-0.5.
AttentionOperands attention_operands(const char* op, const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads,
                                     double scale);
AttentionOperands self_attention_operands(const char* op, const Tensor& qkv, const Tensor& memory, int64_t heads);

}  // namespace echodiff
