#include "tests/shared.h"

#include <cstdlib>

namespace echodiff {

std::filesystem::path golden_path(const std::string& name) {
  const std::filesystem::path root = ECHODIFF_SOURCE_DIR, own = root / "tests/golden" / name;
  const char* chosen = std::getenv("ECHODIFF_SHARED");
  const std::filesystem::path other =
      (chosen != nullptr ? std::filesystem::path(chosen) : root / "../shared") / "golden" / name;
  return std::filesystem::exists(own) || !std::filesystem::exists(other) ? own : other;
}

Device test_device() {
  const char* chosen = std::getenv("ECHODIFF_TEST_DEVICE");
  return parse_device(chosen != nullptr ? chosen : "cpu");
}

}  // namespace echodiff
