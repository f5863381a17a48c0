// The programs with --device cuda: what they write is what the CPU writes, up to rounding; runs go on across devices;
// and every failure of the device has its exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cuda/fake/fake_cuda.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// $ECHODIFF_PROGRAMS, or where this build has them.
std::string program_folder() {
  const char* const chosen = std::getenv("ECHODIFF_PROGRAMS");
  return chosen != nullptr ? chosen : ECHODIFF_BIN_DIR;
}

int run(const std::string& command, const std::string& fake = "") {
  const std::string line =
      (fake.empty() ? "" : "FAKE_CUDA='" + fake + "' ") + program_folder() + "/" + command + " --quiet";
  return WEXITSTATUS(std::system((line + " >/dev/null 2>&1").c_str()));
}

std::vector<json> lines_of(const fs::path& path) {
  std::vector<json> lines;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

// Whether training looks at held-out pictures and draws some on its way.
const std::string kWatched = " --val-every 2 --sample-every 4", kUnwatched = " --val-every 0 --sample-every 0";

class DevicePrograms : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::temp_directory_path() / ("echodiff_device_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    ASSERT_EQ(run("dphantom --count 8 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(train("model", "--steps 3" + kUnwatched), 0);
    ASSERT_EQ(run("dlabel calibrate --size 16 --images " + at("data") + " --out " + at("thresholds.json")), 0);
    ASSERT_EQ(run("dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") + " --out " +
                  at("labels.jsonl")),
              0);
    ASSERT_EQ(train_scorer("scorer", ""), 0);
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  static std::string at(const std::string& name) { return (dir_ / name).string(); }
  static int train(const std::string& out, const std::string& more, const std::string& fake = "",
                   const std::string& mults = "1,2") {
    return run("dtrain diffusion --data " + at("data") + " --image-size 16 --dim 8 --mults " + mults +
                   " --batch 2 --timesteps 50 --dropout 0.1" +
                   " --val-count 1 --sample-count 1 --sample-steps 2 --out " + at(out) + " " + more,
               fake);
  }
  static int sample(const std::string& out, const std::string& more, const std::string& fake = "") {
    return run("dsample --model " + at("model") + " --masks " + at("data") + " --seed 3 --batch 3 --out " + at(out) +
                   " " + more,
               fake);
  }
  static SafetensorsFile checkpoint(const std::string& out) { return read_checkpoint(latest_checkpoint(at(out))); }

  static int train_scorer(const std::string& out, const std::string& more, const std::string& fake = "") {
    return run("dtrain scorer --width 4 --epochs 1 --batch 4 --per-class 8 --labels " + at("labels.jsonl") +
                   " --fill " + at("data") + " --out " + at(out) + " " + more,
               fake);
  }

  static fs::path dir_;
};
fs::path DevicePrograms::dir_;

// Adam divides by the root of v: where a gradient is small, its rounding moves a weight by a share of the rate.
void expect_same_run(const SafetensorsFile& a, const SafetensorsFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    EXPECT_EQ(a.tensors[i].name, b.tensors[i].name);
    const std::vector<double> p = a.tensors[i].tensor.to_vector(), q = b.tensors[i].tensor.to_vector();
    ASSERT_EQ(p.size(), q.size());
    double worst = 0;
    for (size_t k = 0; k < p.size(); ++k) worst = std::max(worst, std::abs(p[k] - q[k]));
    EXPECT_LT(worst, 2e-5) << a.tensors[i].name;
  }
}

void expect_same_losses(const fs::path& there, const fs::path& here, double tolerance) {
  SCOPED_TRACE(there);
  const std::vector<json> found = lines_of(there / "log.jsonl"), wanted = lines_of(here / "log.jsonl");
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    // A segmenter's Dice counts pixels on either side of a threshold, so its digits needn't be the same.
    const bool dice = wanted[i].contains("val_dice") && found[i].contains("val_dice");
    EXPECT_TRUE(wanted[i].contains("loss") || wanted[i].contains("val_loss") || dice) << "line " << i;
    for (const char* key : {"loss", "val_loss"})
      if (wanted[i].contains(key)) {
        EXPECT_NEAR(found[i].at(key).get<double>(), wanted[i][key].get<double>(), tolerance) << key << ", line " << i;
      }
  }
}

TEST_F(DevicePrograms, TrainingEqualsTheCpusAndGoesOnAcrossDevices) {
  ASSERT_EQ(train("cpu", "--steps 4" + kWatched), 0);
  ASSERT_EQ(train("cuda", "--steps 4 --device cuda" + kWatched), 0);
  ASSERT_EQ(train("mixed", "--steps 2 --device cuda" + kWatched), 0);
  ASSERT_EQ(train("mixed", "--steps 4 --resume" + kWatched), 0);
  const SafetensorsFile expected = checkpoint("cpu");
  for (const std::string out : {"cuda", "mixed"}) {
    const SafetensorsFile found = checkpoint(out);
    EXPECT_EQ(found.metadata.at("step"), "4");
    expect_same_run(found, expected);
    expect_same_losses(dir_ / out, dir_ / "cpu", 1e-5);
  }
}

// Three steps, each on the weights that the one before left. At 16x16 its last stages norm four values, which makes the
// rounding of a gradient large: losses are compared, and not weights.
TEST_F(DevicePrograms, TheScorersTrainingEqualsTheCpus) {
  ASSERT_EQ(train_scorer("scorer_there", "--device cuda"), 0);
  expect_same_losses(dir_ / "scorer_there", dir_ / "scorer", 5e-4);
}

TEST_F(DevicePrograms, TheSegmentersTrainingEqualsTheCpusAndRoundsWhereAsked) {
  const auto train_segmenter = [](const std::string& out, const std::string& more) {
    return run("dtrain segmenter --image-size 16 --dim 8 --mults 1,2 --steps 3 --batch 4 --data " + at("data") +
               " --out " + at(out) + more);
  };
  ASSERT_EQ(train_segmenter("segmenter", ""), 0);
  ASSERT_EQ(train_segmenter("segmenter_there", " --device cuda"), 0);
  ASSERT_EQ(train_segmenter("segmenter_bf16", " --device cuda --precision bf16"), 0);
  expect_same_losses(dir_ / "segmenter_there", dir_ / "segmenter", 1e-5);
  expect_same_losses(dir_ / "segmenter_bf16", dir_ / "segmenter", 2e-2);
  const double rounded = lines_of(dir_ / "segmenter_bf16/log.jsonl")[0]["loss"],
               exact = lines_of(dir_ / "segmenter/log.jsonl")[0]["loss"];
  EXPECT_GT(std::abs(rounded - exact), 1e-6);
}

// The same decisions, after as many calls, about the same pictures. `kinds`: the decisions that occur.
void expect_same_samples(const fs::path& here, const fs::path& there, std::set<std::string> kinds) {
  const std::vector<json> expected = lines_of(here / "samples.jsonl"), found = lines_of(there / "samples.jsonl");
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    const json &a = expected[i], &b = found[i];
    for (const char* key : {"decision", "reason", "unet_calls"}) EXPECT_EQ(b.at(key), a.at(key)) << i;
    ASSERT_EQ(b.at("scores").size(), a.at("scores").size()) << i;
    for (size_t k = 0; k < a["scores"].size(); ++k)
      EXPECT_NEAR(b["scores"][k][1].get<double>(), a["scores"][k][1].get<double>(), 1e-4) << i;
    const std::string decision = a["decision"];
    kinds.erase(decision);
    char name[32];
    std::snprintf(name, sizeof name, "%06zu.png", i);
    const fs::path picture = fs::path(decision == "discarded" ? "discarded" : "images") / name;
    const GrayImage p = read_png((here / picture).string()), q = read_png((there / picture).string());
    for (size_t k = 0; k < p.pixels.size(); ++k) EXPECT_LE(std::abs(int(p.pixels[k]) - int(q.pixels[k])), 1);
  }
  EXPECT_TRUE(kinds.empty()) << *kinds.begin() << " did not occur";
}

TEST_F(DevicePrograms, SamplingWithAJudgeDecidesAsOnTheCpu) {
  // A limit between two scores, so that rounding decides nothing.
  ASSERT_EQ(sample("scored", "--count 4 --sample-steps 4 --policy posthoc --tau 0 --scorer " + at("scorer")), 0);
  std::vector<double> scores;
  for (const json& line : lines_of(dir_ / "scored/samples.jsonl")) scores.push_back(line.at("final_score"));
  std::sort(scores.begin(), scores.end());
  size_t after = 1;  // the widest gap
  for (size_t i = 2; i < scores.size(); ++i)
    if (scores[i] - scores[i - 1] > scores[after] - scores[after - 1]) after = i;
  ASSERT_GT(scores[after] - scores[after - 1], 1e-3);
  const std::string posthoc = "--count 4 --sample-steps 4 --policy posthoc --keep-discarded --scorer " + at("scorer") +
                              " --tau " + std::to_string((scores[after - 1] + scores[after]) / 2);
  ASSERT_EQ(sample("here", posthoc), 0);
  ASSERT_EQ(sample("there", posthoc + " --device cuda"), 0);
  expect_same_samples(dir_ / "here", dir_ / "there", {"accepted", "discarded"});

  // Of each mask's two, one is dropped half-way; another trajectory takes its place in the batch.
  const std::string halving =
      "--count 16 --sample-steps 4 --policy halving --group 2 --rungs 0.5 --tau 0 --keep-discarded --scorer ";
  ASSERT_EQ(sample("here_halving", halving + at("scorer")), 0);
  ASSERT_EQ(sample("there_halving", halving + at("scorer") + " --device cuda"), 0);
  expect_same_samples(dir_ / "here_halving", dir_ / "there_halving", {"accepted", "discarded"});
}

TEST_F(DevicePrograms, FailuresHaveTheDocumentedExitCodes) {
  if (!fake_cuda::is_faked()) GTEST_SKIP() << "only the fake can be told to fail";
  EXPECT_EQ(sample("none", "--count 4 --sample-steps 4 --device cuda", "devices=0"), 69);
  EXPECT_FALSE(fs::exists(dir_ / "none"));
  EXPECT_EQ(train("small", "--steps 2 --device cuda" + kUnwatched, "memory=200000"), 71);
  EXPECT_EQ(train("lost", "--steps 2 --device cuda --save-every 1" + kUnwatched), 0);
  const std::string before = read_file(latest_checkpoint(at("lost")));
  EXPECT_EQ(train("lost", "--steps 9 --resume --device cuda --save-every 1" + kUnwatched, "fail=1500:sticky"), 70);
  EXPECT_EQ(read_file(latest_checkpoint(at("lost"))), before);
  EXPECT_EQ(train("lost", "--steps 3 --resume" + kUnwatched), 0);  // the last checkpoint is good
}

TEST_F(DevicePrograms, Bf16TrainsAndSamplesAndItsRunsGoOnInF32) {
  const auto near = [](const fs::path& found, const fs::path& expected) {
    const json there = lines_of(dir_ / found / "log.jsonl")[0], here = lines_of(dir_ / expected / "log.jsonl")[0];
    const double loss = there.at("loss"), wanted = here.at("loss");
    EXPECT_NEAR(loss, wanted, 2e-2 * wanted) << found;
    EXPECT_GT(std::abs(loss - wanted), 1e-6) << found << " did not round";
  };
  ASSERT_EQ(train("bf16", "--steps 1 --device cuda --precision bf16" + kUnwatched), 0);
  near("bf16", "model");
  EXPECT_NE(read_file(at("bf16/config.toml")).find("precision = \"bf16\""), std::string::npos);
  ASSERT_EQ(train("bf16", "--steps 2 --resume" + kUnwatched), 0);
  EXPECT_EQ(checkpoint("bf16").metadata.at("step"), "2");
  ASSERT_EQ(train_scorer("scorer_bf16", "--device cuda --precision bf16"), 0);
  near("scorer_bf16", "scorer");
  EXPECT_EQ(sample("sampled_bf16", "--count 1 --sample-steps 1 --device cuda --precision bf16"), 0);
  EXPECT_EQ(train("on_the_cpu", "--steps 1 --precision bf16"), 2);
  EXPECT_FALSE(fs::exists(dir_ / "on_the_cpu"));
}

// What the fake says at the end of a program.
struct Report {
  std::string failed;                                       // the call that was told to
  std::map<std::string, std::pair<int64_t, int64_t>> ends;  // of each kind of call the first and the last
  int64_t calls = 0, alive = 0;
  std::string misuse;
};
Report read_report(const fs::path& path) {
  Report report;
  std::ifstream stream(path);
  for (std::string key; stream >> key;) {
    int64_t number = 0;
    if (key == "failed")
      stream >> report.failed;
    else if (key == "misuse")
      std::getline(stream, report.misuse);
    else if (key == "kind") {
      std::string name;
      stream >> name;
      stream >> report.ends[name].first >> report.ends[name].second;
    } else if (stream >> number)
      (key == "calls" ? report.calls : report.alive) += number;
  }
  return report;
}

// A failed release is past acting on, and so are the last waits of all, page-locked memory's before it goes and the
// context's before it closes; the allocator asks once more after giving back what it has cached.
bool is_harmless(const std::string& call, bool sticky, bool last) {
  return call.find("Free") != std::string::npos || call.find("Destroy") != std::string::npos ||
         call == "cudaEventSynchronize" || (call == "cudaMalloc" && !sticky) ||
         (call == "cudaStreamSynchronize" && (sticky || last));
}

// Of each kind of call the first out of memory, and the last with the device lost; with ECHODIFF_FAIL_EVERY=N in the
// environment each N-th call both ways (1: 37,624 runs, 80 minutes of one core; by hand).
std::vector<std::pair<int64_t, bool>> failures_of(const Report& whole) {
  std::vector<std::pair<int64_t, bool>> failures;  // number of the call, device lost
  if (const char* apart = std::getenv("ECHODIFF_FAIL_EVERY")) {
    for (int64_t k = 1; k <= whole.calls; k += std::stoll(apart))
      failures.insert(failures.end(), {{k, false}, {k, true}});
  } else {
    for (const auto& [call, ends] : whole.ends)
      failures.insert(failures.end(), {{ends.first, false}, {ends.second, true}});
  }
  return failures;
}

TEST_F(DevicePrograms, EachKindOfCallMayFail) {
  if (!fake_cuda::is_faked()) GTEST_SKIP() << "only the fake can be told to fail";
  const std::string report = at("report");
  using Program = std::function<int(const std::string& out, const std::string& fake)>;
  const std::vector<std::pair<std::string, Program>> programs = {
      {"training",
       [](auto& out, auto& fake) {
         return train(out, "--steps 3 --save-every 1 --device cuda" + kUnwatched, fake, "1");
       }},
      {"scorer", [](auto& out, auto& fake) { return train_scorer(out, "--device cuda", fake); }},
      {"sampling", [](auto& out, auto& fake) {
         return sample(out, "--count 1 --sample-steps 2 --policy posthoc --device cuda --scorer " + at("scorer"), fake);
       }}};
  for (const auto& [name, program] : programs) {
    fs::remove_all(at("whole"));
    ASSERT_EQ(program("whole", "idle report=" + report), 0);
    const Report whole = read_report(report);
    EXPECT_EQ(whole.alive, 0) << name;
    EXPECT_EQ(whole.misuse, "") << name;
    ASSERT_GT(whole.ends.size(), 15u) << name;
    for (const auto& [k, sticky] : failures_of(whole)) {
      fs::remove_all(at("failed"));
      const int code =
          program("failed", "idle fail=" + std::to_string(k) + (sticky ? ":sticky" : ":memory") + " report=" + report);
      const Report after = read_report(report);
      SCOPED_TRACE(name + ", call " + std::to_string(k) + ", " + after.failed);
      EXPECT_NE(after.failed, "");
      const auto ends = whole.ends.find(after.failed);
      const bool last = ends != whole.ends.end() && ends->second.second == k;
      EXPECT_TRUE(code == (sticky ? 70 : 71) || (code == 0 && is_harmless(after.failed, sticky, last))) << code;
      EXPECT_EQ(after.alive, 0);
      EXPECT_EQ(after.misuse, "");
      const std::string saved = latest_checkpoint(at("failed"));
      if (!saved.empty()) {
        EXPECT_NO_THROW(read_checkpoint(saved));  // the last checkpoint is good
      }
    }
  }
}

}  // namespace
}  // namespace echodiff
