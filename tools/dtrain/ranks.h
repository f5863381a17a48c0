// A trainer on one rank or on many: mpirun -n 4 dtrain diffusion ... --micro-batches 4
#pragma once

#include <functional>

#include "cli/cli.h"
#include "train/parallel/communicator.h"

namespace echodiff {

// Calls `train` with the ranks that this process was launched with, linked as common.device can be; all but the first
// are quiet. What one of several throws ends them all, with its line on stderr.
int on_ranks(const Common& common, const std::function<int(Communicator& ranks, const Common& common)>& train);

// Of trainers on ranks, for Options::runs_on_cuda: each rank of a machine has a GPU of its own.
int64_t gpu_of_rank();

// --micro-batches, of the trainers that run on ranks.
void declare_micro_batches(Options& options, int64_t& count);
// Throws Error(kUsage) unless `batch` pictures part into `count` micro-batches, a power of two.
void check_micro_batches(int64_t count, int64_t batch);

}  // namespace echodiff
