#include "train/parallel/micro_batches.h"

#include <algorithm>
#include <utility>

#include "kernels/error.h"
#include "kernels/memory_pool.h"
#include "kernels/thread_pool.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

using Tensors = std::vector<Tensor>;

Tensors added(const Tensors& a, const Tensors& b) {
  Tensors sum;
  for (size_t i = 0; i < a.size(); ++i) sum.push_back(a[i] && b[i] ? a[i] + b[i] : a[i] ? a[i] : b[i]);
  return sum;
}

// A sum of leaves in the order they come, as a binary tree: two sums of equally many leaves become one. What is left
// over at the end is added from the smallest to the largest.
class TreeSum {
 public:
  void add(Tensors leaf) {
    int64_t leaves = 1;
    for (; !sums_.empty() && sums_.back().first == leaves; leaves *= 2) {
      leaf = added(sums_.back().second, leaf);
      sums_.pop_back();
    }
    sums_.emplace_back(leaves, std::move(leaf));
  }
  Tensors total() {
    while (sums_.size() > 1) {
      Tensors last = std::move(sums_.back().second);
      sums_.pop_back();
      sums_.back().second = added(sums_.back().second, last);
    }
    return std::move(sums_.back().second);
  }

 private:
  std::vector<std::pair<int64_t, Tensors>> sums_;  // leaves, their sum
};

// The sum of every rank's, in `mine`; all f32 or undefined, the same ones on every rank.
void add_over_ranks(Communicator& ranks, Tensors& mine) {
  if (ranks.size() == 1) return;
  Tensors here;  // on the host
  int64_t count = 0;
  for (const Tensor& tensor : mine) {
    here.push_back(tensor ? tensor.to(Device::kCpu) : tensor);
    if (tensor) count += tensor.count();
  }
  PoolVector<float> sum(static_cast<size_t>(count));
  float* at = sum.data();
  for (const Tensor& tensor : here)
    if (tensor) at = std::copy_n(tensor.data<float>(), tensor.count(), at);
  ranks.combine(sum, [](PoolVector<float>& own, const PoolVector<float>& theirs) {
    parallel_ranges(int64_t(own.size()), 1 << 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) own[size_t(i)] += theirs[size_t(i)];  // a + b has the bits of b + a
    });
  });
  const float* from = sum.data();
  for (size_t i = 0; i < mine.size(); ++i) {
    if (!here[i]) continue;
    Tensor one = empty(here[i].shape());
    std::copy_n(from, one.count(), one.mutable_data<float>());
    from += one.count();
    mine[i] = one.to(mine[i].device());
  }
}

// The losses of all ranks, in the order of the micro-batches.
Tensors losses_of_all(Communicator& ranks, int64_t count, const OwnMicroBatches& part, const Tensors& mine) {
  if (ranks.size() == 1) return mine;
  std::vector<double> all(static_cast<size_t>(count), 0);
  for (int64_t i = 0; i < part.own; ++i) all[size_t(part.first + i)] = mine[size_t(i)].item();
  ranks.combine(all, [](std::vector<double>& own, const std::vector<double>& theirs) {
    for (size_t i = 0; i < own.size(); ++i) own[i] += theirs[i];  // one of them is 0
  });
  Tensors losses;
  for (const double loss : all) losses.push_back(full({}, loss, mine[0].dtype()));
  return losses;
}

void copy_into(const std::vector<NamedTensor>& tensors, const Tensors& values) {
  const NoGrad no_grad;
  for (size_t i = 0; i < tensors.size(); ++i)
    if (values[i]) Tensor(tensors[i].tensor).copy_from(values[i]);
}

}  // namespace

OwnMicroBatches own_micro_batches(const Communicator& ranks, int64_t count) {
  if (ranks.size() == 1) return {0, count};
  check_input(count % ranks.size() == 0 && (count & (count - 1)) == 0, Fault::kUsage, "--micro-batches: ", ranks.size(),
              " ranks need a power of two that is no smaller, found ", count, "; try --micro-batches ", ranks.size());
  return {ranks.rank() * (count / ranks.size()), count / ranks.size()};
}

std::vector<Tensor> backward_micro_batches(Communicator& ranks, int64_t count,
                                           const std::vector<NamedTensor>& parameters,
                                           const std::vector<NamedTensor>& moved,
                                           const std::function<Tensor(int64_t)>& loss_of) {
  Tensors before, losses;
  for (const NamedTensor& one : moved) before.push_back(one.tensor.clone());
  const OwnMicroBatches part = own_micro_batches(ranks, count);
  TreeSum sum;
  try {
    for (int64_t i = 0; i < part.own; ++i) {
      for (const NamedTensor& parameter : parameters) Tensor(parameter.tensor).set_grad({});
      if (i > 0) copy_into(moved, before);
      const Tensor loss = loss_of(part.first + i);
      losses.push_back(loss.detach());
      (count == 1 ? loss : loss * (1.0 / double(count))).backward();
      if (count == 1) return losses;
      const NoGrad no_grad;
      Tensors leaf;
      for (const NamedTensor& parameter : parameters) leaf.push_back(parameter.tensor.grad());
      for (const NamedTensor& one : moved)
        leaf.push_back(one.tensor.dtype() == DType::i64 ? Tensor() : one.tensor * (1.0 / double(count)));
      sum.add(std::move(leaf));
    }
    const NoGrad no_grad;
    Tensors total = sum.total();
    add_over_ranks(ranks, total);
    losses = losses_of_all(ranks, count, part, losses);
    for (size_t i = 0; i < parameters.size(); ++i) Tensor(parameters[i].tensor).set_grad(total[i]);
    copy_into(moved, {total.begin() + std::ptrdiff_t(parameters.size()), total.end()});
  } catch (...) {
    copy_into(moved, before);
    throw;
  }
  return losses;
}

}  // namespace echodiff
