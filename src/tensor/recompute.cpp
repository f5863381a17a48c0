#include "tensor/recompute.h"

namespace echodiff {
namespace {

thread_local bool recompute_mode = false;

}  // namespace

Recompute::Recompute(bool on) : before_(recompute_mode) { recompute_mode = on; }
Recompute::~Recompute() { recompute_mode = before_; }
bool recomputes() { return recompute_mode; }

Gradients recompute_backward(std::span<const Tensor> inputs, const std::function<Tensor(std::span<const Tensor>)>& f,
                             const Tensor& dy) {
  PoolVector<Tensor> leaves;
  for (const Tensor& input : inputs) {
    leaves.push_back(input ? input.detach() : input);
    if (input && input.requires_grad()) leaves.back().set_requires_grad(true);
  }
  {
    const WithGrad with_grad;
    f(leaves).backward(dy);
  }
  Gradients gradients;
  for (const Tensor& leaf : leaves) gradients.push_back(leaf ? leaf.grad() : leaf);
  return gradients;
}

}  // namespace echodiff
