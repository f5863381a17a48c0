#include "tensor/autograd.h"

#include <algorithm>
#include <atomic>
#include <queue>
#include <unordered_map>

#include "kernels/elementwise.h"
#include "tensor/dispatch.h"
#include "tensor/observe.h"

namespace echodiff {
namespace {

thread_local bool grad_mode = true;
std::atomic<uint64_t> next_sequence{0};  // orders nodes; never enters a result

// into += gradient. Shapes are checked by the caller; both are f32 or both f64, and on one device.
void accumulate(Tensor& into, const Tensor& gradient) {
  if (!into.defined()) {
    into = gradient;
    return;
  }
  Tensor sum = empty_like(into);
  const int64_t n = sum.count();
  dispatch(
      into, "backward",
      [&]<class T>(T) {
        const T* a = into.data<T>();
        const T* b = gradient.data<T>();
        T* out = sum.mutable_data<T>();
        for (int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
      },
      [&]<class T>(DeviceCall& gpu) {
        cuda::arithmetic(Arithmetic::add, {{n, {1, 1, 1}}}, gpu.in<T>(into), gpu.in<T>(gradient), gpu.out<T>(sum),
                         gpu.stream());
      });
  into = sum;
}

void check_gradient(const Node& node, size_t i, const Shape& shape, DType dtype, const Tensor& gradient) {
  check(gradient.shape() == shape && gradient.dtype() == dtype, "backward of ", node.op, ": gradient ", i, " is ",
        gradient.shape(), " ", name_of(gradient.dtype()), ", the input is ", shape, " ", name_of(dtype));
}

}  // namespace

bool grad_enabled() { return grad_mode; }
NoGrad::NoGrad() : before_(grad_mode) { grad_mode = false; }
NoGrad::~NoGrad() { grad_mode = before_; }
WithGrad::WithGrad() : before_(grad_mode) { grad_mode = true; }
WithGrad::~WithGrad() { grad_mode = before_; }

bool needs_backward(std::span<const Tensor> inputs) {
  return grad_mode && std::any_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return x.requires_grad(); });
}
bool needs_backward(std::initializer_list<Tensor> inputs) {
  return needs_backward(std::span(inputs.begin(), inputs.size()));
}

Edge::Edge(const Tensor& input) {
  if (!input) return;
  node = input.node();
  if (!node && input.requires_grad()) leaf = input;
  memory = input.storage();
  version = input.version();
}

bool enters_graph(const char* op, std::span<const Tensor> inputs, const Tensor& output) {
  observe_forward(op, inputs, output);
  return needs_backward(inputs);
}

void attach(const char* op, Tensor& output, std::span<const Tensor> inputs, BackwardFunction backward) {
  const std::shared_ptr<Node> node = std::allocate_shared<Node>(PoolAllocator<Node>());
  node->op = op;
  node->sequence = next_sequence++;
  node->shape = output.shape();
  node->dtype = output.dtype();
  for (const Tensor& input : inputs) node->inputs.emplace_back(input);
  node->backward = std::move(backward);
  output.attach(node);
}

// Dropping the last tensor of a graph would destroy node after node recursively, through inputs and through what the
// backward captured. Both are moved to a worklist first; the outermost destructor empties it.
Node::~Node() {
  struct Remains {
    PoolVector<Edge> inputs;
    BackwardFunction backward;
  };
  thread_local PoolVector<Remains>* worklist = nullptr;
  if (worklist != nullptr) {
    worklist->push_back({std::move(inputs), std::move(backward)});
    return;
  }
  PoolVector<Remains> list;
  worklist = &list;
  list.push_back({std::move(inputs), std::move(backward)});
  while (!list.empty()) {
    const Remains remains = std::move(list.back());
    list.pop_back();
  }
  worklist = nullptr;
}

void Tensor::backward(const Tensor& gradient) const {
  check(requires_grad(), "backward: the tensor does not depend on any leaf that requires a gradient");
  check(gradient.defined() || count() == 1, "backward: a tensor of shape ", shape(), " needs a gradient");
  const Tensor seed = gradient.defined() ? gradient : full(shape(), 1, dtype(), device());
  check(seed.shape() == shape(), "backward: gradient ", seed.shape(), " for a tensor ", shape());

  const NoGrad no_grad;
  if (!node()) {
    Tensor sum = grad();
    accumulate(sum, seed);
    Tensor(*this).set_grad(sum);
    return;
  }
  const auto older = [](const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) {
    return a->sequence < b->sequence;
  };
  std::priority_queue<std::shared_ptr<Node>, PoolVector<std::shared_ptr<Node>>, decltype(older)> ready(older);
  std::unordered_map<const Node*, Tensor, std::hash<const Node*>, std::equal_to<>,
                     PoolAllocator<std::pair<const Node* const, Tensor>>>
      gradients;
  gradients[node().get()] = seed;
  ready.push(node());
  while (!ready.empty()) {
    const std::shared_ptr<Node> current = ready.top();
    ready.pop();
    const Tensor dy = gradients.at(current.get());
    gradients.erase(current.get());
    check(bool(current->backward), "backward: the graph of ", current->op, " was already freed by an earlier backward");
    for (size_t i = 0; i < current->inputs.size(); ++i) {
      const std::shared_ptr<const Storage> memory = current->inputs[i].memory.lock();
      check(memory == nullptr || memory->version() == current->inputs[i].version, "backward of ", current->op,
            ": input ", i, " was written after the forward pass");
    }
    const Gradients inputs_gradients = current->backward(dy);
    check(inputs_gradients.size() == current->inputs.size(), "backward of ", current->op, ": ", inputs_gradients.size(),
          " gradients for ", current->inputs.size(), " inputs");
    observe_backward(current->op, dy, inputs_gradients);
    for (size_t i = 0; i < inputs_gradients.size(); ++i) {
      Edge& input = current->inputs[i];
      if (!inputs_gradients[i].defined()) continue;
      if (input.leaf) {
        check_gradient(*current, i, input.leaf.shape(), input.leaf.dtype(), inputs_gradients[i]);
        Tensor sum = input.leaf.grad();
        accumulate(sum, inputs_gradients[i]);
        input.leaf.set_grad(sum);
      } else if (input.node) {
        check_gradient(*current, i, input.node->shape, input.node->dtype, inputs_gradients[i]);
        Tensor& sum = gradients[input.node.get()];
        if (!sum.defined()) ready.push(input.node);
        accumulate(sum, inputs_gradients[i]);
      }
    }
    current->backward = {};  // frees what it captured
    current->inputs.clear();
  }
}

}  // namespace echodiff
