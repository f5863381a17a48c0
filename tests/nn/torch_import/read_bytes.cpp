#include "tests/nn/torch_import/read_bytes.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

class TestFile {
 public:
  explicit TestFile(std::string_view bytes) { std::ofstream(path(), std::ios::binary) << bytes; }
  std::string path() const { return folder_.at("weights"); }

 private:
  ScratchFolder folder_;
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
