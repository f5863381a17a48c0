#include "cli/device.h"

#include "kernels/cuda/backend.h"

namespace echodiff {

bool built_with_cuda() { return cuda::kBuiltWithCuda; }

}  // namespace echodiff
