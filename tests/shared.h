// Where the golden files are, and skipping where they are not; on which device a test computes.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "tensor/device.h"

namespace echodiff {

// The folder that holds golden/ and data/: $ECHODIFF_SHARED, or else ../shared beside the source tree.
std::optional<std::filesystem::path> test_shared_dir();

// $ECHODIFF_TEST_DEVICE, cpu or cuda: where the tests that ask for it compute. So the same bodies test both.
Device test_device();

// Base of the suites that read it: skipped, saying why, where there is none.
class SharedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test_shared_dir()) GTEST_SKIP() << "no golden files: set ECHODIFF_SHARED to the folder that holds golden/";
  }
  static std::filesystem::path shared() { return *test_shared_dir(); }
  static std::filesystem::path golden_dir() { return shared() / "golden"; }
};

}  // namespace echodiff
