// Where memory ends: every program says so in one line and ends with 71, whichever allocation finds none.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

class Memory : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { folder_ = new ScratchFolder; }
  static void TearDownTestSuite() { delete folder_; }

  // Runs a program in the folder with `variables`; a signal's number is less than 0. What it said is in said().
  static int run(const std::string& variables, const std::string& command) {
    const std::string line = "cd '" + folder_->string() + "' && " + variables + " " + ECHODIFF_BIN_DIR + "/" + command +
                             " >out.log 2>err.log";
    const int status = std::system(("exec bash -c \"" + line + "\"").c_str());
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }
  static std::string said() {
    std::ifstream file(folder_->path() / "err.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static int64_t allocations_of(const std::string& command) {
    run("COUNT_ALLOCATIONS=count LD_PRELOAD=" ECHODIFF_FAIL_ALLOCATION, command);
    std::ifstream file(folder_->path() / "count");
    int64_t count = 0;
    file >> count;
    return count;
  }

  static ScratchFolder* folder_;
};
ScratchFolder* Memory::folder_ = nullptr;

// 127: the loader could not begin. 0: it could do without, as libraries can at some places.
TEST_F(Memory, EachAllocationMayFindNone) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer has the allocations";
#endif
  ASSERT_EQ(run("", "dphantom --quiet --count 4 --size 16 --out data"), 0);
  // What lies beside an output is looked through, by a function of the library that ends the program without an error.
  for (int i = 0; i < 200; ++i) std::ofstream(folder_->at("beside" + std::to_string(i)));
  const std::string train =
      "dtrain diffusion --quiet --data data --image-size 16 --dim 8 --mults 1 --steps 1 --batch 1"
      " --timesteps 5 --val-every 0 --sample-every 0 --threads 2 --out run";
  for (const std::string& command :
       {std::string("dphantom --quiet --count 1 --size 16 --out run"), std::string("dtrain --version"), train}) {
    const int64_t count = allocations_of(command);
    ASSERT_GT(count, 20) << command;
    int without_memory = 0;
    for (int64_t k = 1; k <= count; k += k < 24 ? 1 : (count - 24) / 16 + 1) {
      std::system(("rm -rf '" + folder_->string() + "/run'").c_str());
      const int code = run("FAIL_ALLOCATION=" + std::to_string(k) + " LD_PRELOAD=" ECHODIFF_FAIL_ALLOCATION, command);
      EXPECT_TRUE(code == 71 || code == 0 || code == 127) << command << ", allocation " << k << ": " << code << said();
      without_memory += code == 71 ? 1 : 0;
    }
    EXPECT_GT(without_memory, 10) << command;
  }
}

TEST_F(Memory, AThreadThatCantBeMadeIsNoSignal) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer needs more memory than is left here";
#endif
  // 1024 stacks of 8 MiB do not fit into 2 GiB of addresses.
  const int code = run("ulimit -v 2000000; exec", "dphantom --quiet --count 64 --size 64 --threads 1024 --out many");
  EXPECT_EQ(code, 71);
  EXPECT_NE(said().find("use fewer"), std::string::npos) << said();
}

TEST_F(Memory, ALimitIsKeptAndSaysWhatWasWanted) {
  ASSERT_EQ(run("", "dphantom --quiet --count 4 --size 32 --out wide"), 0);
  const std::string train =
      "dtrain diffusion --quiet --data wide --image-size 32 --dim 64 --mults 1,2 --steps 1 --batch 4"
      " --val-every 0 --sample-every 0 --out limited ";
  EXPECT_EQ(run("", train + "--mem-limit 8"), 71);
  for (const char* part : {"wanted", "in use", "peak", "at most 8388608", "smaller batch"})
    EXPECT_NE(said().find(part), std::string::npos) << said();
  EXPECT_EQ(run("", train + "--mem-limit 2000"), 0) << said();
}

}  // namespace
}  // namespace echodiff
