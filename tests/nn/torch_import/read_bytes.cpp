#include "tests/nn/torch_import/read_bytes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace echodiff {
namespace {

class TestFile {
 public:
  explicit TestFile(std::string_view bytes)
      : path_(::testing::TempDir() + "echodiff_weights_" + std::to_string(::getpid())) {
    std::ofstream(path_, std::ios::binary) << bytes;
  }
  ~TestFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

WeightsFile read_bytes(std::string_view bytes) {
  const TestFile file(bytes);
  return read_weights_file(file.path());
}

std::string refusal_of(std::string_view bytes) {
  const TestFile file(bytes);
  try {
    read_weights_file(file.path());
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput) << error.what();
    std::string message = error.what();
    EXPECT_EQ(message.find(file.path()), 0U) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return "F" + message.substr(std::min(message.size(), file.path().size()));
  }
  return "";
}

}  // namespace echodiff
