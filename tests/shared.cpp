#include "tests/shared.h"

#include <cstdlib>
#include <string>

namespace echodiff {

std::optional<std::filesystem::path> test_shared_dir() {
  const char* chosen = std::getenv("ECHODIFF_SHARED");
  const std::filesystem::path dir = chosen != nullptr ? chosen : ECHODIFF_SOURCE_DIR "/../shared";
  if (!std::filesystem::is_directory(dir / "golden")) return std::nullopt;
  return std::filesystem::canonical(dir);
}

Device test_device() {
  const char* chosen = std::getenv("ECHODIFF_TEST_DEVICE");
  return parse_device(chosen != nullptr ? chosen : "cpu");
}

}  // namespace echodiff
