// cuBLASLt and cuDNN, opened when they are first called (library_search.h says where they are looked for). Their
// functions keep the names that the toolkit's headers declare, so nobody who calls them knows.
#pragma once

#include <string>
#include <vector>

namespace echodiff::cuda {

struct ToolkitLibrary {
  std::string name;  // "libcudnn.so.9"
  std::string path;  // the file taken
};
// The libraries that the process computes with; opens them. Throws Error(kNoDevice) naming a library that is nowhere,
// where it was looked for and what to do.
std::vector<ToolkitLibrary> toolkit_libraries();

}  // namespace echodiff::cuda
