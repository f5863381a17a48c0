// What ends a program from without: signals, wherever it is just then; and a config.toml that a cut has shortened.
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "cli/cli.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/observe.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

// A body that asks nobody for longer than anybody waits.
int run_deaf(int signal) {
  char name[] = "dthing";
  char* argv[] = {name};
  return run_program(1, argv, {"dthing", "Waits.", "dthing"}, [signal](Options& options) {
    options.body([signal](const Common&) {
      std::raise(signal);
      for (;;) ::usleep(1000);
      return 0;
    });
  });
}

TEST(CliSignal, EndsWhatDoesNotAsk) { EXPECT_EXIT(run_deaf(SIGHUP), ::testing::ExitedWithCode(129), ""); }

// Training ends between two ops.
TEST(CliSignal, IsSeenBetweenTwoOps) {
  static int asked = 0;
  asked = 0;
  const StopWhen stop([] { return ++asked == 3; });
  Tensor x = full({2}, 1);
  x = x * 2.0;
  x = x * 2.0;
  EXPECT_THROW(x * 2.0, Stopped);
  EXPECT_EQ(asked, 3);
}

TEST(ConfigOfARun, ThatWasCutIsNoticed) {
  const ScratchFolder folder;
  const std::string path = folder.at("cut.toml");
  const std::string whole = with_end_marked("count = 12\n[made_by]\nprogram = \"dthing\"\n");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write_file_unsynced(path, whole.substr(0, bytes));
    EXPECT_THROW(read_flat_toml(path), Error) << bytes;
  }
  write_file_atomic(path, whole.substr(0, whole.find("2\n")));
  EXPECT_EQ(run("dphantom --out " + folder.at("x") + " --config " + path), 2);
  write_file_atomic(path, whole);
  EXPECT_EQ(read_flat_toml(path).at("count"), "12");
}

// A step of minutes, and pictures of which one takes seconds: seen within five seconds, and saved.
TEST(Signals, AreSeenInTheMidstOfALargeStep) {
  const ScratchFolder folder;
  ASSERT_EQ(run("dphantom --count 8 --size 16 --out " + folder.at("data")), 0);
  const std::string training = "dtrain diffusion --image-size 64 --dim 32 --batch 48 --steps 2 --timesteps 50 --data " +
                               folder.at("data") + " --out " + folder.at("run");
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  EXPECT_EQ(run_for(2, training, "INT"), 130);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 2 + 5);
  EXPECT_TRUE(std::filesystem::exists(folder.at("run/checkpoints/step-00000000.safetensors")));
  EXPECT_EQ(run_for(1, "dphantom --count 5000 --size 512 --out " + folder.at("more"), "HUP"), 129);
  EXPECT_FALSE(std::filesystem::exists(folder.at("more")));
}

}  // namespace
}  // namespace echodiff
