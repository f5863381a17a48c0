// dtrain status and dtrain doctor: what they say of runs in every state, and of machines that lack something.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "train/run_dir.h"
#include "train/run_status.h"

namespace echodiff {
namespace {

class StatusTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.at(name); }
  // The exit code; what was said on both streams is left in `said`.
  int run(const std::string& command, const std::string& before = "") {
    const std::string line = concat_message("cd ", folder_.string(), " && { ", before, ECHODIFF_BIN_DIR, "/dtrain ",
                                            command, "; } >said 2>&1");
    const int code = WEXITSTATUS(std::system(line.c_str()));
    said = read_file(at("said"));
    return code;
  }
  void expect_said(const std::string& part) const { EXPECT_NE(said.find(part), std::string::npos) << said; }
  void write_run(const std::string& log) const {
    make_directories(at("run/checkpoints"));
    write_file_atomic(at("run/config.toml"), "[made_by]\nprogram = \"dtrain diffusion\"\n[resolved]\nsteps = 400\n");
    write_file_atomic(at("run/log.jsonl"), log);
  }

  ScratchFolder folder_;
  std::string said;
};

TEST_F(StatusTest, SaysStepRateAndHealthOfARun) {
  write_run(
      "{\"step\": 10, \"loss\": 0.9, \"seconds\": 50}\n"  // of an earlier session
      "{\"step\": 20, \"loss\": 0.5, \"seconds\": 1}\n{\"step\": 20, \"val_loss\": 0.4}\n"
      "{\"step\": 60, \"loss\": 0.25, \"seconds\": 11}\n{\"step\": 70, \"lo");
  write_file_atomic(at("run/checkpoints/step-00000050.safetensors"), "x");
  write_file_atomic(at("run/checkpoints/latest"), "step-00000050.safetensors\n");
  const RunStatus status = read_run_status(at("run"));
  EXPECT_EQ(status.step, 60);
  EXPECT_EQ(status.saved_step, 50);
  EXPECT_EQ(status.steps_a_second, 4.0);
  EXPECT_EQ(status.losses, 3);
  EXPECT_FALSE(status.process.has_value());
  ASSERT_EQ(run("status run"), 0) << said;
  for (const char* part : {"60 of 400 (15 %)", "4.0 steps/s", "step 50, ",
                           "the last 3 losses are finite, the last 0.25", "go on with --resume", "disk left"})
    expect_said(part);
  const RunDirectory held(at("run"));
  EXPECT_EQ(read_run_status(at("run")).process, ::getpid());
  ASSERT_EQ(run("status run"), 0) << said;
  expect_said(concat_message("process ", ::getpid(), " works in it"));
  expect_said("1 min 25 s left");
}

TEST_F(StatusTest, NamesLossesThatAreNotFinite) {
  write_run("{\"step\": 1, \"loss\": 0.5, \"seconds\": 1}\n{\"step\": 2, \"loss\": null, \"seconds\": 2}\n");
  ASSERT_EQ(run("status run"), 0) << said;
  expect_said("NOT FINITE: 1 of the last 2 losses");
  expect_said("none yet");
}

TEST_F(StatusTest, RefusesWhatIsNoRun) {
  EXPECT_EQ(run("status none"), 66);
  make_directories(at("empty"));
  EXPECT_EQ(run("status empty"), 66);
  EXPECT_EQ(run("status"), 2);
  write_run("");
  write_file_atomic(at("run/config.toml"), "steps = ");
  EXPECT_EQ(run("status run"), 65);
  expect_said("config.toml:1");
  EXPECT_FALSE(std::filesystem::exists(at("run/.lock")));  // looking leaves nothing behind
}

TEST_F(StatusTest, DoctorFindsWhatIsThereAndWhatIsMissing) {
  ASSERT_EQ(run("doctor --out ."), 0) << said;
  for (const char* part : {"CPU ", "threads ", "memory ", "open files ", "disk ", "with fsync", "GPU ", "cuDNN ",
                           "MPI ", "compiler ", "everything that training needs is there"})
    expect_said(part);
  EXPECT_EQ(run("doctor --out .", "ulimit -n 32; "), 1);
  expect_said("open files     MISSING  32; ulimit -n 64");
  EXPECT_EQ(run("doctor --out .", "ulimit -f 512; "), 1);
  expect_said("ulimit -f unlimited");
  EXPECT_EQ(run("doctor --out .", "PATH=/nowhere; "), 0);
  expect_said("tools/install_deps.sh");
  EXPECT_EQ(run("doctor --out none"), 66);
}

TEST_F(StatusTest, AReportIsWrittenAnewUntilTheRunHasFinished) {
  ASSERT_EQ(
      run("diffusion --data data --image-size 16 --dim 8 --mults 1 --steps 2 --batch 1 --timesteps 5 --val-every 0 "
          "--sample-every 0 --out done",
          concat_message(ECHODIFF_BIN_DIR, "/dphantom --count 4 --size 16 --out data --quiet && ")),
      0)
      << said;
  const auto watched = [&](const std::string& name, const std::string& how) {
    return WEXITSTATUS(std::system(
        concat_message(how, ECHODIFF_BIN_DIR, "/dreport --quiet --watch ", at(name), " >", at("said"), " 2>&1")
            .c_str()));
  };
  ASSERT_EQ(watched("done", ""), 0) << read_file(at("said"));
  EXPECT_EQ(read_file(at("done/report.html")).find("http-equiv=\"refresh\""), std::string::npos);
  write_run("{\"step\": 10, \"loss\": 0.9, \"seconds\": 50}\n");
  EXPECT_EQ(watched("run", "timeout --preserve-status -s TERM 2 "), 143);
  EXPECT_NE(read_file(at("run/report.html")).find("http-equiv=\"refresh\""), std::string::npos);
}

}  // namespace
}  // namespace echodiff
