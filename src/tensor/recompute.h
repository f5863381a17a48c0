// Activation checkpointing (Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174): of a
// block its inputs are kept, and the backward pass computes the block once more. Memory for a third more arithmetic.
//
//   const Recompute recompute(true);
//   x = recomputed([this](const Tensor& x, const Tensor& time) { return block_(x, time); }, x, time);
#pragma once

#include <array>
#include <functional>
#include <span>
#include <utility>

#include "tensor/autograd.h"

namespace echodiff {

// While one made with `on` lives on this thread, recomputed() keeps inputs alone.
class Recompute {
 public:
  explicit Recompute(bool on);
  ~Recompute();
  Recompute(const Recompute&) = delete;

 private:
  bool before_;
};
bool recomputes();

// The gradients of the inputs where y = f(inputs) is computed again; those of parameters are added where they belong.
Gradients recompute_backward(std::span<const Tensor> inputs, const std::function<Tensor(std::span<const Tensor>)>& f,
                             const Tensor& dy);

// f(inputs...), a function of them and of parameters that changes nothing and gives a tensor of its own. Its parameters
// get gradients where one of the inputs needs one. Gradients differ in their last bits from those of f called alone: an
// input that f reads twice gets the sum of both first. Undefined inputs pass as they are.
template <class F, class... Inputs> Tensor recomputed(const F& f, Inputs&&... inputs) {
  if (!recomputes() || !needs_backward({inputs...})) return f(std::forward<Inputs>(inputs)...);
  const std::array<Tensor, sizeof...(Inputs)> kept{inputs...};
  const auto call = [f](std::span<const Tensor> from) {
    return [&]<size_t... I>(std::index_sequence<I...>) { return f(from[I]...); }
    (std::index_sequence_for<Inputs...>());
  };
  Tensor y;
  {
    const NoGrad no_grad;
    y = call(kept);
  }
  return record("recomputed", y, kept, [kept, call](const Tensor& dy) { return recompute_backward(kept, call, dy); });
}

}  // namespace echodiff
