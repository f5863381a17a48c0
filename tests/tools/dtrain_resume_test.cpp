// Every trainer goes on where it was killed or interrupted, to the bits of the unbroken run, and says what it can't go
// on from; dlabel and dsample say which judges are not finished.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <string>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/best_checkpoint.h"
#include "train/checkpoint.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class TrainersResume : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(run("dlabel calibrate --size 16 --images " + at("data") + " --out " + at("thresholds.json")), 0);
    ASSERT_EQ(run("dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") + " --out " +
                  at("labels.jsonl")),
              0);
    ASSERT_EQ(run(diffusion("model", "")), 0);
    ASSERT_EQ(run("dsample --model " + at("model") + " --masks " + at("data") +
                  " --sampler ddim --sample-steps 4 --count 24 --policy none --seed 2 --out " + at("samples")),
              0);
    ASSERT_EQ(run("dlabel calibrate --quantile 0.8 --images " + at("samples") + " --out " + at("halves.json")), 0);
    ASSERT_EQ(run(recording("rec")), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }

  static std::string diffusion(const std::string& out, const std::string& more) {
    return "dtrain diffusion --data " + at("data") + " --image-size 16 --dim 8 --mults 1,2 --steps 24 --batch 4" +
           " --timesteps 50 --flip --dropout 0.1 --mask-drop 0.2 --val-every 4 --val-count 2 --sample-every 6" +
           " --sample-count 2 --sample-steps 3 --save-every 3 --out " + at(out) + " " + more;
  }
  static std::string scorer(const std::string& out, const std::string& more) {
    return long_scorer(out, "--epochs 6 " + more);
  }
  static std::string long_scorer(const std::string& out, const std::string& more) {
    return "dtrain scorer --width 8 --per-class 16 --batch 4 --save-every 2 --labels " + at("labels.jsonl") +
           " --fill " + at("data") + " --out " + at(out) + " " + more;
  }
  static std::string segmenter(const std::string& out, const std::string& more) {
    return "dtrain segmenter --steps 24 --batch 4 --image-size 16 --dim 8 --mults 1,2 --flip --save-every 3 "
           "--val-every 5 --data " +
           at("data") + " --out " + at(out) + " " + more;
  }
  static std::string value(const std::string& out, const std::string& more) {
    return "dtrain value --recordings " + at("rec") + " --width 8 --steps 24 --val-every 4 --batch 8 --out " + at(out) +
           " " + more;
  }
  static std::string recording(const std::string& out) {
    return "dsample record --model " + at("model") + " --masks " + at("data") + " --sampler ddim --sample-steps 4" +
           " --count 96 --per-shard 8 --thresholds " + at("halves.json") + " --out " + at(out);
  }

  // All that the run has made, without clock times and what --resume changes.
  static std::map<std::string, std::string> contents(const std::string& out) {
    std::map<std::string, std::string> found;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(at(out))) {
      const std::string name = entry.path().lexically_relative(at(out)).string();
      if (!entry.is_regular_file() || name == "seconds.jsonl") continue;
      if (name.starts_with("checkpoints/") && name != "checkpoints/latest" &&
          entry.path() != fs::path(latest_checkpoint(at(out))) && entry.path() != fs::path(best_checkpoint(at(out))))
        continue;  // which older ones are left depends on where a signal came
      found[name] =
          std::regex_replace(read_file(entry.path().string()), std::regex("\"seconds\": [^,}]*|out = .*"), "");
    }
    return found;
  }

  static ScratchFolder* folder_;
};
ScratchFolder* TrainersResume::folder_ = nullptr;

TEST_F(TrainersResume, EqualTheUnbrokenRunWhereverTheyAreKilled) {
  using Command = std::string (*)(const std::string&, const std::string&);
  for (const auto& [name, command] :
       {std::pair<std::string, Command>("diffusion", diffusion), std::pair<std::string, Command>("scorer", scorer),
        std::pair<std::string, Command>("segmenter", segmenter), std::pair<std::string, Command>("value", value)}) {
    const double whole = seconds_of(command("whole_" + name, ""));
    ASSERT_GT(whole, 0) << name;
    EXPECT_EQ(run(command("whole_" + name, "")), 73) << name;  // nothing writes over it
    int64_t killed = 0;
    double seconds = whole / 4;
    while (true) {
      const int code = run_for(seconds, command("broken_" + name, "--resume"), killed % 2 == 1 ? "TERM" : "KILL");
      if (code == 0) break;
      ASSERT_TRUE(code == 137 || code == 143) << name << " " << code;
      ++killed;
      seconds += whole / 4;
    }
    EXPECT_GE(killed, 1) << name;
    EXPECT_EQ(contents("broken_" + name), contents("whole_" + name)) << name;
    EXPECT_EQ(run(command("broken_" + name, "--resume")), 0) << name;  // it is finished
    EXPECT_EQ(contents("broken_" + name), contents("whole_" + name)) << name;
  }
}

TEST_F(TrainersResume, ARecordingToo) {
  int64_t killed = 0;
  const double whole = seconds_of(recording("timed_rec"));
  ASSERT_GT(whole, 0);
  double seconds = whole / 4;
  for (int code = 1; code != 0; seconds += whole / 4, ++killed) {
    code = run_for(seconds, recording("broken_rec"), killed % 2 == 1 ? "INT" : "KILL");
    ASSERT_TRUE(code == 0 || code == 137 || code == 130) << code;
  }
  EXPECT_GE(killed, 2);
  EXPECT_EQ(contents("broken_rec"), contents("rec"));
  const RunDirectory lock(at("broken_rec"));
  EXPECT_EQ(run(recording("broken_rec")), 75);
}

TEST_F(TrainersResume, OtherFlagsOrDataAreRefusedUnlessAllowed) {
  ASSERT_EQ(run("dtrain diffusion --data " + at("data") +
                " --image-size 16 --dim 8 --mults 1,2 --steps 2 --batch 4 --timesteps 50 --out " + at("changed")),
            0);
  const std::string
      more = "dtrain diffusion --image-size 16 --dim 8 --mults 1,2 --steps 3 --timesteps 50 --resume --out " +
             at("changed"),
      same = more + " --batch 4 --data " + at("data");
  for (const std::string flag :
       {"--lr 1e-3", "--accumulate 2", "--optimizer adamw", "--warmup 2", "--cosine", "--flip", "--mask-drop 0.1",
        "--ema 0.9", "--clip 2", "--augment-gain 0.1", "--min-snr-gamma 5", "--seed 2", "--betas 0.9,0.9"})
    EXPECT_EQ(run(same + " " + flag), 2) << flag;
  EXPECT_EQ(run(more + " --batch 2 --data " + at("data")), 2);
  fs::copy(at("data"), at("other"), fs::copy_options::recursive);
  fs::copy_file(at("data/images/000001.png"), at("other/images/000000.png"), fs::copy_options::overwrite_existing);
  EXPECT_EQ(run(more + " --batch 4 --data " + at("other")), 2);
  EXPECT_EQ(run(more + " --batch 4 --allow-changes --predict v --data " + at("other")), 2);  // another network
  EXPECT_EQ(run(more + " --batch 2 --allow-changes --lr 1e-3 --data " + at("other")), 0);
}

TEST_F(TrainersResume, AFolderWithoutLatestIsNotBegunAnew) {
  ASSERT_EQ(run(segmenter("lost", "")), 0);
  fs::remove(at("lost/checkpoints/latest"));
  EXPECT_EQ(run(segmenter("lost", "--resume")), 65);
  EXPECT_EQ(run(segmenter("lost", "")), 73);
  write_file_atomic(at("lost/checkpoints/latest"), "step-00000024.safetensors\n");
  EXPECT_EQ(run(segmenter("lost", "--resume")), 0);
  // What a kill in the midst of the very first save leaves.
  fs::remove(at("lost/checkpoints/latest"));
  write_file_atomic(at("lost/checkpoints/.first-save"), "");
  EXPECT_EQ(run(segmenter("lost", "--resume")), 0);
  EXPECT_EQ(contents("lost").count("checkpoints/.first-save"), 0u);
}

TEST_F(TrainersResume, AnUnfinishedJudgeIsRefusedUnlessAllowed) {
  double seconds = 0.1;
  int code = 0;
  do {  // long enough for a step, too short for all
    fs::remove_all(at("half"));
    code = run_for(seconds, long_scorer("half", "--epochs 4000"), "HUP");
    seconds += 0.1;
  } while (!fs::exists(at("half/checkpoints/latest")));
  EXPECT_EQ(code, 129);
  const std::string sampling = "dsample --model " + at("model") + " --masks " + at("data") +
                               " --sampler ddim --sample-steps 2 --count 2 --policy posthoc --scorer " + at("half") +
                               " --out ";
  EXPECT_EQ(run(sampling + at("s1")), 65);
  EXPECT_EQ(run(sampling + at("s2") + " --allow-unfinished"), 0);
  EXPECT_EQ(run("dlabel evaluate --samples " + at("s2") + " --neighbours 1 --data " + at("data") + " --features " +
                at("half") + " --out " + at("e.json")),
            65);
}

TEST_F(TrainersResume, GuidanceNeedsMasksThatWereDropped) {
  ASSERT_EQ(run("dtrain diffusion --data " + at("data") +
                " --image-size 16 --dim 8 --mults 1,2 --steps 1 --batch 2 --timesteps 50 --out " + at("undropped")),
            0);
  const std::string sampling =
      " --sampler ddim --sample-steps 2 --count 2 --policy none --guidance 2 --masks " + at("data") + " --out ";
  EXPECT_EQ(run("dsample --model " + at("undropped") + sampling + at("g1")), 2);
  EXPECT_EQ(run("dsample --model " + at("model") + sampling + at("g2")), 0);
}

TEST_F(TrainersResume, ALogThatWasCutIsSaid) {
  ASSERT_EQ(run(diffusion("cut", "")), 0);
  const std::string log = read_file(at("cut/log.jsonl"));
  write_file_atomic(at("cut/log.jsonl"), log.substr(0, log.size() / 2));
  const std::string command =
      std::string(ECHODIFF_BIN_DIR) + "/" + diffusion("cut", "--resume") + " 2>" + at("said") + " >/dev/null";
  const std::string report = std::string(ECHODIFF_BIN_DIR) + "/dreport --runs " + at("cut") + " --out " +
                             at("report.html") + " 2>" + at("said") + " >/dev/null";
  for (const std::string& one : {report, command}) {
    ASSERT_EQ(std::system(one.c_str()), 0) << one;
    EXPECT_NE(read_file(at("said")).find("the file was cut"), std::string::npos) << read_file(at("said"));
  }
}

}  // namespace
}  // namespace echodiff
