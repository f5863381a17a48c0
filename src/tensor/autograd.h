// Reverse-mode differentiation: record() is the one place where an op enters the graph and where observers look.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>

#include "kernels/memory_pool.h"
#include "tensor/tensor.h"

namespace echodiff {

using Gradients = PoolVector<Tensor>;  // one per input, in order; undefined where none is needed

// A callable Gradients(const Tensor& dy), in the pool's memory.
class BackwardFunction {
 public:
  BackwardFunction() = default;
  template <class F>
  explicit BackwardFunction(F f)
      : callable_(std::allocate_shared<F>(PoolAllocator<F>(), std::move(f))),
        call_([](const void* callable, const Tensor& dy) { return (*static_cast<const F*>(callable))(dy); }) {}
  explicit operator bool() const { return callable_ != nullptr; }
  Gradients operator()(const Tensor& dy) const { return call_(callable_.get(), dy); }

 private:
  std::shared_ptr<const void> callable_;
  Gradients (*call_)(const void*, const Tensor&) = nullptr;
};

// Where the gradient of one input goes: to the op that made it, to a leaf, or nowhere.
// The input's own memory is free to go; what a backward reads of it, the backward captured.
struct Edge {
  explicit Edge(const Tensor& input);
  std::shared_ptr<Node> node;
  Tensor leaf;
  std::weak_ptr<const Storage> memory;
  uint64_t version = 0;  // of that memory when recorded
};

// The record of one op: where its inputs came from and how to turn the gradient of its output into theirs.
struct Node {
  const char* op;
  uint64_t sequence;  // creation order: backward() runs nodes from the youngest to the oldest
  Shape shape;        // of the output
  DType dtype;
  PoolVector<Edge> inputs;
  BackwardFunction backward;
  ~Node();  // iterative: a trajectory of 10,000 ops would overflow the stack otherwise
};

// True when record() would keep a backward for these inputs: lets an op skip what only backward needs.
bool needs_backward(std::span<const Tensor> inputs);
bool needs_backward(std::initializer_list<Tensor> inputs);

// Where a backward puts the gradient of `input`: memory like it, uninitialised; nothing where nobody wants it.
inline Tensor gradient_for(const Tensor& input) { return input.requires_grad() ? empty_like(input) : Tensor(); }

// The two halves of record(): tells the observer and says whether the op enters the graph; puts it there.
bool enters_graph(const char* op, std::span<const Tensor> inputs, const Tensor& output);
void attach(const char* op, Tensor& output, std::span<const Tensor> inputs, BackwardFunction backward);

// Attaches the op to its freshly made output (when any input requires a gradient and grad mode is on), tells the
// observer, and returns the output. What `backward` captures stays in memory until then: capture an input only to
// read its elements. One that needs the output itself must capture `y.detach()`.
template <class Backward>
Tensor record(const char* op, Tensor output, std::span<const Tensor> inputs, Backward&& backward) {
  if (enters_graph(op, inputs, output)) attach(op, output, inputs, BackwardFunction(std::forward<Backward>(backward)));
  return output;
}
template <class Backward>
Tensor record(const char* op, Tensor output, std::initializer_list<Tensor> inputs, Backward&& backward) {
  return record(op, std::move(output), std::span(inputs.begin(), inputs.size()), std::forward<Backward>(backward));
}

bool grad_enabled();
// No op is recorded while one of these lives on this thread.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
// Within a NoGrad, ops are recorded again while one of these lives.
class WithGrad {
 public:
  WithGrad();
  ~WithGrad();
  WithGrad(const WithGrad&) = delete;
  WithGrad& operator=(const WithGrad&) = delete;

 private:
  bool before_;
};

}  // namespace echodiff
