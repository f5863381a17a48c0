// Ranks that MPI knows (MPI 3.1, https://www.mpi-forum.org/docs). In a build without MPI this is declared and not
// defined: call it behind `if constexpr (kBuiltWithMpi)`.
#pragma once

#include "train/parallel/communicator.h"

namespace echodiff {

inline constexpr bool kBuiltWithMpi = ECHODIFF_WITH_MPI;

// Throws Error(kIo) where MPI can't be begun, or finds other than `size` ranks.
std::unique_ptr<Communicator> make_mpi_communicator(int64_t size, const std::function<bool()>& interrupted);

}  // namespace echodiff
