// Nothing is opened for the faked device: its libraries are linked.
#include "kernels/cuda/toolkit.h"

namespace echodiff::cuda {

std::vector<ToolkitLibrary> toolkit_libraries() { return {{"cublasLt", "the fake's"}, {"cudnn", "the fake's"}}; }

}  // namespace echodiff::cuda
