// check_cuda(cudaX(...)): throws Error with the name of the failure and where it was called. Out of memory is
// Fault::kOutOfMemory, no usable GPU Fault::kNoDevice, everything else Fault::kInternal. The runtime's own record of
// the failure is cleared, so that the next check doesn't report this one again; a sticky failure (the context is lost)
// says so.
#pragma once

#include <cuda_runtime_api.h>

#include <source_location>

namespace echodiff::cuda {

// True where no later call of this process can succeed: nothing may be copied from the device and saved.
bool is_sticky(cudaError_t status);

void check_cuda(cudaError_t status, std::source_location where = std::source_location::current());

}  // namespace echodiff::cuda
