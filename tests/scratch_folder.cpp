#include "tests/scratch_folder.h"

#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace echodiff {

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "echodiff_test.XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;  // what is left behind is no test's failure
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace echodiff
