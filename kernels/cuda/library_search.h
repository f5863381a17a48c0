// Where the toolkit's libraries lie on a machine. A build knows cuBLASLt and cuDNN by their names alone and opens them
// when a device is first used, so that the programs start where there is none.
#pragma once

#include <string>
#include <vector>

namespace echodiff::cuda {

// The folders to look in, in this order: $ECHODIFF_CUDA_LIBRARIES (a list with ':'; nothing else is looked at where it
// is set), the lib folders of $CUDA_HOME and $CUDA_PATH, of /usr/local/cuda* and /opt/cuda, Debian's library folder,
// and nvidia/*/lib of each Python: those of $VIRTUAL_ENV, $CONDA_PREFIX, $PATH, $HOME/.local and the system.
// root: stands before every path, "" but in tests. Folders that don't exist are left out.
std::vector<std::string> library_folders(const std::string& root = "");

// The first folder that holds `file`, with it: "/usr/local/cuda/lib64/libcudnn.so.9"; "" where none does.
std::string find_library(const std::vector<std::string>& folders, const std::string& file);

}  // namespace echodiff::cuda
