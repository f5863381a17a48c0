// Running dweights in an empty folder, measured.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"

namespace echodiff {

namespace fs = std::filesystem;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kLimitMemory = false;  // the sanitizer's own is larger
#else
constexpr bool kLimitMemory = true;
#endif

struct Outcome {
  int code = -1;
  std::string out, err;
  double seconds = 0;
};

// An empty folder in which dweights runs.
class DweightsFolder {
 public:
  DweightsFolder() { fs::create_directory(folder_ / "cwd"); }

  std::string at(const std::string& name) const { return folder_.at(name); }
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(at(name), std::ios::binary) << bytes;
    return at(name);
  }
  bool cwd_is_empty() const { return fs::is_empty(folder_ / "cwd"); }

  // With a limit, the program may not have more bytes of memory of its own (a larger wish fails: exit code 71).
  Outcome run(const std::vector<std::string>& arguments, std::vector<std::string> before = {},
              int64_t memory_limit = 0) const {
    std::vector<std::string> words = std::move(before);
    words.push_back(std::string(ECHODIFF_BIN_DIR) + "/dweights");
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
      const struct rlimit memory = {rlim_t(memory_limit), rlim_t(memory_limit)};
      const bool ready = ::chdir(at("cwd").c_str()) == 0 && std::freopen(at("out").c_str(), "w", stdout) &&
                         std::freopen(at("err").c_str(), "w", stderr);
      if (kLimitMemory && memory_limit > 0) ::setrlimit(RLIMIT_DATA, &memory);
      if (ready) ::execvp(argv[0], argv.data());
      ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(at("out")),
            read_file(at("err")), elapsed.count()};
  }

 private:
  ScratchFolder folder_;
};

}  // namespace echodiff
