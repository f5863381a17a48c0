// Where the toolkit's libraries are looked for, in folders made for it.
#include "kernels/cuda/library_search.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "tests/scratch_folder.h"

namespace echodiff::cuda {
namespace {

namespace fs = std::filesystem;

class LibrarySearch : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"ECHODIFF_CUDA_LIBRARIES", "CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PATH", "HOME"}) {
      const char* const value = getenv(name);
      if (value != nullptr) before_[name] = value;
      unsetenv(name);
    }
  }
  void TearDown() override {
    for (const auto& [name, value] : before_) setenv(name.c_str(), value.c_str(), 1);
  }
  void add(const std::string& file) {
    fs::create_directories(fs::path(root() + file).parent_path());
    std::ofstream(root() + file) << "here";
  }
  std::string root() const { return folder_.path().string(); }
  std::string found(const std::string& file = "libcudnn.so.9") const {
    const std::string path = find_library(library_folders(root()), file);
    return path.empty() ? path : path.substr(root().size());
  }

 private:
  ScratchFolder folder_;
  std::map<std::string, std::string> before_;
};

TEST_F(LibrarySearch, NothingIsFoundWhereNothingIs) {
  EXPECT_TRUE(library_folders(root()).empty());
  EXPECT_EQ(found(), "");
}

TEST_F(LibrarySearch, ToolkitsComeBeforeThePythons) {
  add("/home/a/.local/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9");
  setenv("HOME", "/home/a", 1);
  EXPECT_EQ(found(), "/home/a/.local/lib/python3.11/site-packages/nvidia/cudnn/lib/libcudnn.so.9");
  add("/usr/local/cuda-13.0/lib64/libcudnn.so.9");
  EXPECT_EQ(found(), "/usr/local/cuda-13.0/lib64/libcudnn.so.9");
  add("/opt/toolkit/lib64/libcudnn.so.9");
  setenv("CUDA_HOME", "/opt/toolkit", 1);
  EXPECT_EQ(found(), "/opt/toolkit/lib64/libcudnn.so.9");
}

// A library may lie in a folder of its own, as wheels have it.
TEST_F(LibrarySearch, EveryKindOfPythonIsLookedAt) {
  const std::map<std::string, std::pair<const char*, const char*>> places{
      {"/venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13", {"VIRTUAL_ENV", "/venv"}},
      {"/conda/lib/python3.10/site-packages/nvidia/cublas/lib/libcublasLt.so.13", {"CONDA_PREFIX", "/conda"}},
      {"/py/lib/python3.11/site-packages/nvidia/cublas/lib/libcublasLt.so.13", {"PATH", "/nowhere:/py/bin"}}};
  for (const auto& [file, variable] : places) {
    add(file);
    setenv(variable.first, variable.second, 1);
    EXPECT_EQ(found("libcublasLt.so.13"), file);
    unsetenv(variable.first);
  }
  add("/usr/lib/python3/dist-packages/nvidia/cublas/lib/libcublasLt.so.13");
  EXPECT_EQ(found("libcublasLt.so.13"), "/usr/lib/python3/dist-packages/nvidia/cublas/lib/libcublasLt.so.13");
}

TEST_F(LibrarySearch, WhatAPersonNamesIsAllThatCounts) {
  add("/usr/local/cuda/lib64/libcudnn.so.9");
  add("/mine/libcudnn.so.9");
  setenv("ECHODIFF_CUDA_LIBRARIES", "/nowhere:/mine", 1);
  EXPECT_EQ(found(), "/mine/libcudnn.so.9");
  setenv("ECHODIFF_CUDA_LIBRARIES", "/nowhere", 1);
  EXPECT_EQ(found(), "");
}

}  // namespace
}  // namespace echodiff::cuda
