// dsample as a program: the same seed gives the same bytes whatever the batch, the threads, the shards and the fate of
// the other trajectories; and every refusal has its exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "tensor/io/file.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

int run(const std::string& command) {
  return WEXITSTATUS(std::system((std::string(ECHODIFF_BIN_DIR) + "/" + command + " --quiet >/dev/null 2>&1").c_str()));
}

// One tiny experiment for all tests: phantoms, a diffusion run, a scorer.
class Dsample : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::temp_directory_path() / ("echodiff_dsample_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    ASSERT_EQ(run("dphantom --count 40 --size 16 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(run("dtrain diffusion --data " + at("data") + " --image-size 16 --dim 8 --mults 1,2 --steps 3 --batch 4 --timesteps 50" +
                  " --sample-every 0 --out " + at("model")),
              0);
    ASSERT_EQ(run("dlabel calibrate --size 16 --images " + at("data") + " --out " + at("thresholds.json")), 0);
    ASSERT_EQ(run("dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") + " --out " + at("labels.jsonl")), 0);
    ASSERT_EQ(run("dtrain scorer --width 4 --epochs 2 --per-class 20 --labels " + at("labels.jsonl") + " --fill " + at("data") +
                  " --out " + at("scorer")),
              0);
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  static std::string at(const std::string& name) { return (dir_ / name).string(); }
  static int sample(const std::string& out, const std::string& more) {
    return run("dsample --model " + at("model") + " --masks " + at("data") + " --seed 3 --sample-steps 6 --out " + at(out) + " " + more);
  }
  // Picture names and their bytes, of images/ and discarded/.
  static std::map<std::string, std::string> pictures(const std::string& out) {
    std::map<std::string, std::string> found;
    for (const char* folder : {"images", "discarded"})
      if (fs::exists(dir_ / out / folder))
        for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / out / folder))
          found[entry.path().filename().string()] = read_file(entry.path().string());
    return found;
  }

  static fs::path dir_;
};
fs::path Dsample::dir_;

TEST_F(Dsample, SameBytesWhateverTheBatchAndTheThreads) {
  for (const std::string sampler : {"ddpm", "ddim --eta 1", "dpmpp"}) {
    const std::string common = "--policy none --count 9 --sampler " + sampler;
    ASSERT_EQ(sample("one" + sampler.substr(0, 4), common + " --batch 1 --threads 1"), 0);
    ASSERT_EQ(sample("many" + sampler.substr(0, 4), common + " --batch 8 --threads 2"), 0);
    EXPECT_EQ(pictures("one" + sampler.substr(0, 4)).size(), 9u);
    EXPECT_EQ(pictures("one" + sampler.substr(0, 4)), pictures("many" + sampler.substr(0, 4))) << sampler;
  }
}

TEST_F(Dsample, AKeptPictureDoesNotKnowOfDiscardedOnes) {
  ASSERT_EQ(sample("free", "--policy none --sampler ddpm --count 12 --batch 4"), 0);
  const std::map<std::string, std::string> free = pictures("free");
  // tau is a score that some reach and some don't: the paper's rule then drops and keeps, at different steps
  for (const char* policy : {"posthoc --tau 0.5", "random --discard-rate 0.5 --tau 0.01"}) {
    const std::string out = std::string("judged") + policy[0];
    ASSERT_EQ(sample(out, std::string("--sampler ddpm --count 12 --batch 4 --scorer ") + at("scorer") + " --policy " + policy), 0) << policy;
    for (const auto& [name, bytes] : pictures(out)) EXPECT_EQ(bytes, free.at(name)) << policy << " " << name;
  }
}

TEST_F(Dsample, ShardsTogetherAreTheWhole) {
  ASSERT_EQ(sample("whole", "--policy none --sampler ddpm --count 10"), 0);
  std::map<std::string, std::string> together;
  for (const std::string shard : {"0", "1", "2"}) {
    ASSERT_EQ(sample("shard" + shard, "--policy none --sampler ddpm --count 10 --shard " + shard + "/3"), 0);
    together.merge(pictures("shard" + shard));
  }
  EXPECT_EQ(together, pictures("whole"));
}

TEST_F(Dsample, RefusesWithTheDocumentedExitCodes) {
  EXPECT_EQ(sample("x", "--policy posthoc --count 2"), 2);  // no --scorer
  EXPECT_EQ(sample("x", "--policy none --count -1"), 2);
  EXPECT_EQ(sample("x", "--policy none --count 2 --device cuda"), 69);
  EXPECT_EQ(sample("x", "--policy posthoc --count 2 --scorer " + at("nothing")), 66);
  EXPECT_EQ(sample("x", "--policy posthoc --count 2 --scorer " + at("model")), 65);
  EXPECT_EQ(run("dsample --policy none --count 2 --model " + at("nothing") + " --masks " + at("data") + " --out " + at("x")), 66);
  ASSERT_EQ(sample("taken", "--policy none --count 1"), 0);
  EXPECT_EQ(sample("taken", "--policy none --count 1"), 73);
}

}  // namespace
}  // namespace echodiff
