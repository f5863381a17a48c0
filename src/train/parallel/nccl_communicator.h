// Ranks whose bytes go from GPU to GPU by NCCL (2.14 or newer, https://docs.nvidia.com/deeplearning/nccl); MPI says who
// they are. NCCL adds nothing up here: sums stay those of communicator.h, with the same bits. In a build without NCCL
// this is declared and not defined: call it behind `if constexpr (kBuiltWithNccl)`.
#pragma once

#include "train/parallel/communicator.h"

namespace echodiff {

inline constexpr bool kBuiltWithNccl = ECHODIFF_WITH_NCCL;

// The ranks of `mpi`, each on the GPU that its process has opened, no two on the same. They are linked by their first
// exchange, to which all of them come together as they do in combine. exchange throws as Communicator's does, and Error
// kOutOfMemory, kNoDevice or kInternal where the GPU fails; whatever it threw, no exchange after it succeeds.
std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> mpi,
                                                     const std::function<bool()>& interrupted);

}  // namespace echodiff
