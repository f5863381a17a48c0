#include "tensor/io/paths.h"

#include <filesystem>

namespace echodiff {

std::string last_part(const std::string& path) {
  const std::filesystem::path clean = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path name = clean.has_filename() ? clean.filename() : clean.parent_path().filename();
  return name.empty() || name == "." ? path : name.string();
}

}  // namespace echodiff
