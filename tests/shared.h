// Where the golden files are, and on which device a test computes.
#pragma once

#include <filesystem>
#include <string>

#include "tensor/device.h"

namespace echodiff {

// A golden file or folder by its name within tests/golden ("ops/index.json"). One that is not in the tree is looked for
// in golden/ of $ECHODIFF_SHARED, or else of ../shared beside the source tree.
std::filesystem::path golden_path(const std::string& name);

// $ECHODIFF_TEST_DEVICE, cpu or cuda: where the tests that ask for it compute. So the same bodies test both.
Device test_device();

}  // namespace echodiff
