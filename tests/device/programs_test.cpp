// The programs with --device cuda: what they write is what the CPU writes, up to rounding; runs go on across devices;
// and every failure of the device has its exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

int run(const std::string& command, const std::string& fake = "") {
  const std::string line =
      (fake.empty() ? "" : "FAKE_CUDA='" + fake + "' ") + std::string(ECHODIFF_BIN_DIR) + "/" + command + " --quiet";
  return WEXITSTATUS(std::system((line + " >/dev/null 2>&1").c_str()));
}

std::vector<json> lines_of(const fs::path& path) {
  std::vector<json> lines;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

class DevicePrograms : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::temp_directory_path() / ("echodiff_device_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    ASSERT_EQ(run("dphantom --count 8 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(train("model", "--steps 3"), 0);
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  static std::string at(const std::string& name) { return (dir_ / name).string(); }
  static int train(const std::string& out, const std::string& more, const std::string& fake = "") {
    return run("dtrain diffusion --data " + at("data") +
                   " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50 --dropout 0.1" +
                   " --val-every 2 --val-count 1 --sample-count 1 --sample-steps 2 --out " + at(out) + " " + more,
               fake);
  }
  static int sample(const std::string& out, const std::string& more, const std::string& fake = "") {
    return run("dsample --model " + at("model") + " --masks " + at("data") +
                   " --seed 3 --sample-steps 4 --count 4 --batch 3 --out " + at(out) + " " + more,
               fake);
  }
  static SafetensorsFile checkpoint(const std::string& out) { return read_checkpoint(latest_checkpoint(at(out))); }

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

TEST_F(DevicePrograms, TrainingEqualsTheCpusAndGoesOnAcrossDevices) {
  ASSERT_EQ(train("cpu", "--steps 4"), 0);
  ASSERT_EQ(train("cuda", "--steps 4 --device cuda"), 0);
  ASSERT_EQ(train("mixed", "--steps 2 --device cuda"), 0);
  ASSERT_EQ(train("mixed", "--steps 4 --resume"), 0);
  const SafetensorsFile expected = checkpoint("cpu");
  for (const std::string out : {"cuda", "mixed"}) {
    const SafetensorsFile found = checkpoint(out);
    EXPECT_EQ(found.metadata.at("step"), "4");
    expect_same_run(found, expected);
    const std::vector<json> log = lines_of(dir_ / out / "log.jsonl"), wanted = lines_of(dir_ / "cpu/log.jsonl");
    ASSERT_EQ(log.size(), wanted.size());
    for (size_t i = 0; i < log.size(); ++i) {
      const char* key = wanted[i].contains("loss") ? "loss" : "val_loss";
      EXPECT_NEAR(log[i].at(key).get<double>(), wanted[i].at(key).get<double>(), 1e-5) << out << " line " << i;
    }
  }
}

TEST_F(DevicePrograms, SamplingWithAJudgeDecidesAsOnTheCpu) {
  ASSERT_EQ(run("dlabel score --images " + at("data") + " --preset paper --out " + at("labels.jsonl")), 0);
  ASSERT_EQ(run("dtrain scorer --width 4 --epochs 1 --per-class 8 --device cuda --labels " + at("labels.jsonl") +
                " --fill " + at("data") + " --out " + at("scorer")),
            0);
  const std::string judged = "--policy posthoc --tau 0.5 --keep-discarded --scorer " + at("scorer");
  ASSERT_EQ(sample("here", judged), 0);
  ASSERT_EQ(sample("there", judged + " --device cuda"), 0);
  const std::vector<json> here = lines_of(dir_ / "here/samples.jsonl"), there = lines_of(dir_ / "there/samples.jsonl");
  ASSERT_EQ(here.size(), 4u);
  ASSERT_EQ(there.size(), 4u);
  for (size_t i = 0; i < here.size(); ++i) {
    const double score = here[i].at("final_score");
    EXPECT_NEAR(there[i].at("final_score").get<double>(), score, 1e-3);
    if (std::abs(score - 0.5) > 1e-3) {
      EXPECT_EQ(here[i].at("decision"), there[i].at("decision"));
    }
    const std::string folder = here[i].at("decision") == "discarded" ? "discarded" : "images";
    char name[32];
    std::snprintf(name, sizeof name, "%06zu.png", i);
    const GrayImage a = read_png((dir_ / "here" / folder / name).string()),
                    b = read_png((dir_ / "there" / folder / name).string());
    for (size_t k = 0; k < a.pixels.size(); ++k) EXPECT_LE(std::abs(int(a.pixels[k]) - int(b.pixels[k])), 1);
  }
}

TEST_F(DevicePrograms, FailuresHaveTheDocumentedExitCodes) {
  EXPECT_EQ(sample("none", "--device cuda", "devices=0"), 69);
  EXPECT_FALSE(fs::exists(dir_ / "none"));
  EXPECT_EQ(train("small", "--steps 2 --device cuda", "memory=200000"), 71);
  EXPECT_EQ(train("lost", "--steps 2 --device cuda --save-every 1"), 0);
  const std::string before = read_file(latest_checkpoint(at("lost")));
  EXPECT_EQ(train("lost", "--steps 9 --resume --device cuda --save-every 1", "fail=1500:sticky"), 70);
  EXPECT_EQ(read_file(latest_checkpoint(at("lost"))), before);
  EXPECT_EQ(train("lost", "--steps 3 --resume"), 0);  // the last checkpoint is good
}

}  // namespace
}  // namespace echodiff
