// One step's gradient from micro-batches, on one rank or on many, to the same bits: gradients are added in a binary
// tree over the micro-batches that doesn't depend on who computed which. Each rank computes a run of neighbours, which
// is a subtree; ranks then add theirs pair by pair, and all end with the sum.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/io/safetensors.h"
#include "train/parallel/communicator.h"

namespace echodiff {

// Those of `count` that this rank computes: first .. first + own - 1.
struct OwnMicroBatches {
  int64_t first = 0, own = 1;
};
// Throws Error(kUsage) where `count` is no multiple of the ranks, or there are several and it is no power of two.
OwnMicroBatches own_micro_batches(const Communicator& ranks, int64_t count);

// Leaves in the gradients of `parameters` that of the mean of loss_of(0) .. loss_of(count - 1), scalars of which this
// rank computes its own. Returns all of them, in order. `moved`: tensors that a forward pass changes (the running
// statistics of batch norm): each micro-batch begins with the step's, and they end as the mean of what the
// micro-batches make of them, those of i64, which count steps, as any of them does. Throws what loss_of and
// Communicator::exchange throw; `moved` is then as it was.
std::vector<Tensor> backward_micro_batches(Communicator& ranks, int64_t count,
                                           const std::vector<NamedTensor>& parameters,
                                           const std::vector<NamedTensor>& moved,
                                           const std::function<Tensor(int64_t)>& loss_of);

}  // namespace echodiff
