// dsample merge: shards become the folder that one process would have made; a gap, a duplicate and a half are refused.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "tests/tools/tiny_experiment.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class DsampleMerge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_NO_FATAL_FAILURE(make_tiny_experiment(folder_->string(), {.pictures = 12, .epochs = 1, .per_class = 8}));
    ASSERT_EQ(run(command("whole", kFlags)), 0);
    for (const std::string i : {"0", "1", "2", "3"})
      ASSERT_EQ(run(command("part" + i, kFlags + (" --shard " + i + "/4"))), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }
  static std::string command(const std::string& out, const std::string& more) {
    return "dsample --model " + at("model") + " --masks " + at("data") + " --scorer " + at("scorer") +
           " --seed 3 --sample-steps 4 --sampler ddim --batch 3 --out " + at(out) + " " + more;
  }
  static int merge(const std::string& shards, const std::string& out) {
    std::string line = "dsample merge --out " + at(out) + " --shards";
    for (const char i : shards) line += " " + at(std::string("part") + i);
    return run(line);
  }
  // What a program says, and its exit code.
  static std::string said(const std::string& line, int* code) {
    *code =
        WEXITSTATUS(std::system((std::string(ECHODIFF_BIN_DIR) + "/" + line + " >" + at("said") + " 2>&1").c_str()));
    return read_file(at("said"));
  }
  static std::map<std::string, std::string> contents(const std::string& out) {
    std::map<std::string, std::string> found;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(at(out))) {
      const std::string name = entry.path().lexically_relative(at(out)).string();
      if (entry.is_regular_file() && name != "config.toml" && name != "seconds.jsonl" && name != ".lock")
        found[name] = read_file(entry.path().string());
    }
    nlohmann::json summary = nlohmann::json::parse(found["summary.json"]);
    for (const char* timed : {"seconds", "images_per_second", "unet_seconds", "scorer_seconds", "unet_seconds_saved",
                              "unet_seconds_per_call_in_a_full_batch", "seconds_saved_per_calls_saved"})
      summary.erase(timed);
    for (const char* rounded : {"mean_grey", "mean_grey_of_data", "calls_saved"})
      if (summary.contains(rounded)) summary[rounded] = std::round(double(summary[rounded]) * 1e6);
    found["summary.json"] = summary.dump(1);
    return found;
  }

  static constexpr const char* kFlags =
      "--policy paper --tau 0.502 --warm-up 0 --window 1 --delta 0.0001 --count 22 --keep-discarded";
  static ScratchFolder* folder_;
};
ScratchFolder* DsampleMerge::folder_ = nullptr;

TEST_F(DsampleMerge, IsWhatOneProcessWouldHaveMade) {
  ASSERT_EQ(merge("2013", "merged"), 0);
  EXPECT_EQ(contents("merged"), contents("whole"));
  EXPECT_GT(contents("merged").size(), 22u);
  int code = -1;
  EXPECT_NE(said(command("merged", kFlags), &code).find("is finished already"), std::string::npos);
  EXPECT_EQ(code, 0);
  // A merge that was killed before its last file is made whole by the same command.
  fs::remove(at("merged/summary.json"));
  fs::remove(at("merged/samples.jsonl"));
  fs::resize_file(at("merged/seconds.jsonl"), 7);
  ASSERT_EQ(merge("0123", "merged"), 0);
  EXPECT_EQ(contents("merged"), contents("whole"));
}

TEST_F(DsampleMerge, AGapIsRefusedByName) {
  int code = -1;
  const std::string line =
      said("dsample merge --out " + at("gap") + " --shards " + at("part0") + " " + at("part3"), &code);
  EXPECT_EQ(code, 65);
  EXPECT_NE(line.find("shard 1/4, 2/4 is missing"), std::string::npos) << line;
  EXPECT_FALSE(fs::exists(at("gap")));
}

TEST_F(DsampleMerge, DuplicatesHalvesAndOthersAreRefused) {
  EXPECT_EQ(merge("01223", "twice"), 65);
  fs::copy(at("part1"), at("part9"), fs::copy_options::recursive);
  fs::remove(at("part9/summary.json"));
  EXPECT_EQ(merge("0923", "half"), 65);
  ASSERT_EQ(run(command("part8", "--policy none --count 22 --shard 1/4")), 0);
  EXPECT_EQ(merge("0823", "others"), 65);
  fs::copy(at("part1"), at("part7"), fs::copy_options::recursive);
  fs::remove(*fs::directory_iterator(at("part7/images")));
  EXPECT_EQ(merge("0723", "lost"), 65);
  fs::copy(at("part1"), at("part6"), fs::copy_options::recursive);
  fs::copy_file(at("part2/samples.jsonl"), at("part6/samples.jsonl"), fs::copy_options::overwrite_existing);
  EXPECT_EQ(merge("0623", "strange"), 65);
  EXPECT_EQ(merge("0123", "data"), 73);
  EXPECT_EQ(run("dsample merge --out " + at("none") + " --shards " + at("nowhere")), 66);
}

TEST_F(DsampleMerge, AnArrayOfSlurmIsItsShards) {
  const std::string array = "SLURM_ARRAY_TASK_MIN=10 SLURM_ARRAY_TASK_STEP=5 SLURM_ARRAY_TASK_COUNT=4 ";
  for (const int task : {0, 3}) {
    const std::string out = "task" + std::to_string(task);
    const std::string line = array + "SLURM_ARRAY_TASK_ID=" + std::to_string(10 + 5 * task) + " " +
                             std::string(ECHODIFF_BIN_DIR) + "/" + command(out, kFlags) + " >" + at("said") + " 2>&1";
    ASSERT_EQ(std::system(line.c_str()), 0) << read_file(at("said"));
    EXPECT_NE(read_file(at("said")).find("as SLURM's array says"), std::string::npos);
    EXPECT_EQ(contents(out), contents("part" + std::to_string(task)));
  }
}

// Files of two trajectories, so that the last is short and parts have different numbers of files.
TEST_F(DsampleMerge, PartsOfARecordingBecomeTheWhole) {
  const auto record = [](const std::string& out, const std::string& more) {
    return run("dsample record --model " + at("model") + " --masks " + at("data") + " --judge clean=" + at("scorer") +
               " --seed 3 --sample-steps 3 --sampler ddim --per-shard 2 --batch 2 --count 9 --out " + at(out) + more);
  };
  ASSERT_EQ(record("rec", ""), 0);
  for (const std::string i : {"0", "1", "2"}) ASSERT_EQ(record("rec" + i, " --shard " + i + "/3"), 0);
  const auto merge_parts = [](const std::string& parts, const std::string& out, int* code) {
    std::string line = "dsample merge --out " + at(out) + " --shards";
    for (const char i : parts) line += " " + at(std::string("rec") + i);
    return said(line, code);
  };
  int code = 0;
  EXPECT_NE(merge_parts("02", "rec-merged", &code).find("shard 1/3 is missing"), std::string::npos);
  EXPECT_EQ(code, 65);
  EXPECT_NE(merge_parts("0112", "rec-merged", &code).find("give each once"), std::string::npos);
  EXPECT_NE(said("dsample replay " + at("rec1") + " --policy none --out " + at("sim"), &code)
                .find("is a part of a recording"),
            std::string::npos);
  EXPECT_EQ(record("rec1", " --shard 2/3"), 73);
  EXPECT_EQ(record("rec1", ""), 73);
  EXPECT_EQ(record("rec", " --shard 2/3"), 73);

  // A file of a part is lost: named, made again by the same command, and the merge is whole.
  fs::remove(at("rec1/chains-0004.safetensors"));
  EXPECT_NE(merge_parts("012", "rec-merged", &code).find("shard 1/3 is not finished"), std::string::npos);
  ASSERT_EQ(record("rec1", " --shard 1/3"), 0);
  merge_parts("201", "rec-merged", &code);
  ASSERT_EQ(code, 0);
  int64_t files = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(at("rec"))) {
    const std::string name = entry.path().filename().string();
    if (name == "seconds.jsonl" || name == ".lock") continue;
    ++files;
    EXPECT_EQ(read_file(at("rec-merged/" + name)), read_file(entry.path().string())) << name;
  }
  EXPECT_EQ(files, 7);  // recording.json, conditions, five of chains
  EXPECT_EQ(
      said("dsample replay " + at("rec-merged") + " --policy none --judge clean --final-judge clean --out " + at("sim"),
           &code)
          .find("error"),
      std::string::npos);
  EXPECT_EQ(code, 0);
}

}  // namespace
}  // namespace echodiff
