// Reverse-mode differentiation: record() is the one place where an op enters the graph and where observers look.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

using Gradients = std::vector<Tensor>;  // one per input, in order; undefined where none is needed
using BackwardFunction = std::function<Gradients(const Tensor& dy)>;

// The record of one op: its inputs and how to turn the gradient of its output into theirs.
struct Node {
  const char* op;
  uint64_t sequence;  // creation order: backward() runs nodes from the youngest to the oldest
  Shape shape;        // of the output
  std::vector<Tensor> inputs;
  std::vector<uint64_t> versions;  // of the inputs when recorded
  BackwardFunction backward;
  ~Node();  // iterative: a chain of 10,000 ops would overflow the stack otherwise
};

// Attaches the op to its freshly made output (when any input requires a gradient and grad mode is on), tells the
// observer, and returns the output. A backward that needs the output itself must capture `y.detach()`.
Tensor record(const char* op, Tensor output, std::vector<Tensor> inputs, BackwardFunction backward);

// True when record() would keep a backward for these inputs: lets an op skip what only backward needs.
bool needs_backward(const std::vector<Tensor>& inputs);

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

}  // namespace echodiff
