// dweights as a program: the verdict on every hostile golden file within its limits of time and memory, what convert
// and diff say, and, under strace, that reading opens nothing but the file.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "nn/torch_import/parity.h"
#include "nn/torch_import/weights_file.h"
#include "tensor/io/file.h"
#include "tests/nn/torch_import/torch_files.h"
#include "tests/shared.h"
#include "tests/tools/dweights_folder.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

void expect_equal(const WeightsFile& found, const WeightsFile& expected, const std::string& prefix) {
  EXPECT_EQ(found.tensors.size(), expected.tensors.size());
  for (const SourceTensor& tensor : expected.tensors) {
    const SourceTensor* twin = found.find(prefix + tensor.name);
    ASSERT_NE(twin, nullptr) << prefix + tensor.name;
    EXPECT_EQ(twin->dtype, tensor.dtype) << tensor.name;
    ASSERT_EQ(twin->shape(), tensor.shape()) << tensor.name;
    EXPECT_EQ(difference_of(tensor.values, twin->values).different, 0) << tensor.name;
  }
}

nlohmann::json manifest_entries() {
  std::ifstream stream(golden_path("hostile/manifest.json"));
  return nlohmann::json::parse(stream).at("files");
}

std::vector<std::string> hostile_files() {
  std::vector<std::string> names;
  for (const nlohmann::json& entry : manifest_entries()) names.push_back(entry.at("file"));
  return names;
}

// One test per file, so that ctest -L hostile counts them.
class HostileFile : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Golden, HostileFile, ::testing::ValuesIn(hostile_files()), [](const auto& info) {
  std::string name = info.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(uint8_t(c)); }, '_');
  return name;
});

TEST_P(HostileFile, VerdictValuesTimeAndMemory) {
  nlohmann::json entry;
  for (const nlohmann::json& candidate : manifest_entries())
    if (candidate.at("file") == GetParam()) entry = candidate;
  const fs::path folder = golden_path("hostile");
  const std::string path = (folder / GetParam()).string(), verdict = entry.at("verdict");
  SCOPED_TRACE(GetParam() + ": " + std::string(entry.at("why")));
  const DweightsFolder dweights;
  const std::string out = dweights.at("out.safetensors");
  const int64_t limit = 2 * int64_t(fs::file_size(path)) + (64 << 20);
  for (const Outcome& outcome : {dweights.run({"inspect", path, "--threads", "1"}, {}, limit),
                                 dweights.run({"convert", path, "--out", out, "--threads", "1"}, {}, limit)}) {
    EXPECT_TRUE(verdict == "reject" || outcome.code == 0 || (verdict == "either" && outcome.code == 65)) << outcome.err;
    EXPECT_TRUE(verdict != "reject" || outcome.code == 65) << outcome.out;
    if (outcome.code == 65) {
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
      EXPECT_NE(outcome.err.find(GetParam()), std::string::npos) << outcome.err;
    }
    EXPECT_LE(outcome.seconds, 1);
    EXPECT_TRUE(dweights.cwd_is_empty());
  }
  if (fs::exists(out) && entry.contains("values")) {
    const WeightsFile expected = read_weights_file((folder / std::string(entry.at("values"))).string());
    expect_equal(read_weights_file(out), expected, entry.value("prefix", ""));
  }
}

TEST(Dweights, ConvertKeepsTypesAndListsWhatItLeavesOut) {
  const DweightsFolder dweights;
  PickleWriter w;
  w.raw("}(").text("net").dict().text("w").tensor("HalfStorage", "0", 2, 0, {2}, {1}).set_item();
  w.text("epoch").integer(3).text("note").text("a\nb");
  const std::string path = dweights.file("x.pt", torch_zip(w.raw("u").stop(), {std::string("\x00\x3C\x01\x00", 4)}));
  const std::string out = dweights.at("x.safetensors");
  const Outcome outcome = dweights.run({"convert", path, "--out", out});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("epoch = 3\n"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("note = \"a\\nb\"\n"), std::string::npos) << outcome.out;
  const WeightsFile file = read_weights_file(out);
  EXPECT_EQ(file.find("net.w")->dtype, "float16");
  EXPECT_EQ(file.find("net.w")->values.to_vector(), (std::vector<double>{1, 0x1p-24}));
  EXPECT_EQ(dweights.run({"diff", path, out}).code, 0);
}

TEST(Dweights, InspectPrintsATable) {
  const DweightsFolder dweights;
  const float nan = NAN;
  const std::string pickle =
      PickleWriter().dict().text("w").tensor("FloatStorage", "0", 3, 0, {3}, {1}).set_item().stop();
  const Outcome outcome =
      dweights.run({"inspect", dweights.file("x.pt", torch_zip(pickle, {bytes_of_values<float>({1, nan, 4})}))});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"PyTorch zip file, 1 tensors, 3 elements", "float32  1    4    2.5", "pickle protocol 2",
                           "warning: w holds 1 NaN or infinite elements"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in " << outcome.out;
  EXPECT_EQ(dweights.run({"inspect", dweights.at("nothing")}).code, 66);
  EXPECT_EQ(dweights.run({"inspect"}).code, 2);
}

// Also one whose header's hash has lost its name.
TEST(Dweights, ADamagedCheckpointIsRefusedWhereverItIs) {
  const DweightsFolder dweights;
  std::string bytes = encode_checkpoint({{"w", from_vector({2}, {1, 2})}}, {{"step", "1"}});
  const size_t header = bytes.find("\"w\"") + 3;
  ASSERT_EQ(dweights.run({"inspect", dweights.file("whole.safetensors", bytes)}).code, 0);
  for (size_t byte = 8; byte < header; ++byte) {
    bytes[byte] = char(bytes[byte] ^ 2);
    const Outcome outcome = dweights.run({"inspect", dweights.file("damaged.safetensors", bytes)});
    EXPECT_EQ(outcome.code, 65) << byte << ": " << bytes;
    bytes[byte] = char(bytes[byte] ^ 2);
  }
}

TEST(Dweights, DiffNamesEveryDifference) {
  const DweightsFolder dweights;
  const auto file = [&](const std::string& name, const std::string& key, const std::vector<float>& values) {
    const int64_t count = int64_t(values.size());
    PickleWriter w;
    w.raw("}(").text("same").tensor("FloatStorage", "0", 1, 0, {1}, {1});
    w.text("w").tensor("FloatStorage", "1", count, 0, {count}, {1}).text(key).tensor("FloatStorage", "0", 1, 0, {}, {});
    return dweights.file(name, torch_zip(w.raw("u").stop(), {bytes_of_values<float>({7}), bytes_of_values(values)}));
  };
  const std::string a = file("a.pt", "x", {1, 2, 4}), b = file("b.pt", "y", {1, 2, 3}), c = file("c.pt", "x", {1, 2});
  const Outcome outcome = dweights.run({"diff", a, b});
  EXPECT_EQ(outcome.code, 1);
  for (const std::string& part : std::vector<std::string>{"1 of 3", "absolute 1", "relative 0.25", "only in " + a,
                                                          "only in " + b, "1 tensors are equal, 3 differ"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in " << outcome.out;
  EXPECT_NE(dweights.run({"diff", a, c}).out.find("shape (3) and (2)"), std::string::npos);
  EXPECT_EQ(dweights.run({"diff", a, a}).code, 0);
}

// What the program asks of the system once it has the file open.
TEST(Dweights, ReadingOpensNothingElseUnderStrace) {
  const DweightsFolder dweights;
  const std::string log = dweights.at("strace");
  const std::vector<std::string> strace{"strace", "-f", "-e", "trace=%file,%process,%network,pread64,read", "-o", log};
  if (dweights.run({"--version"}, strace).code != 0) GTEST_SKIP() << "no strace here, or it may not trace";
  const std::string evil = PickleWriter().global("posix", "system").text("touch PWNED").raw("\x85R").stop();
  const std::vector<std::pair<std::string, int>> files{
      {dweights.file("good.pt", small_checkpoint()), 0},
      {dweights.file("evil.pt", torch_zip(evil, {})), 65},
      {dweights.file("legacy.pth", torch_legacy(evil, {})), 65},
      {dweights.file("raw.pkl", evil), 65},
      {dweights.file("slip.pt", zip_of({{.name = "a/data.pkl", .bytes = evil}, {.name = "../PWNED", .bytes = "x"}})),
       65},
      {dweights.file("junk.safetensors", "junk, junk, junk"), 65},
  };
  for (const auto& [path, code] : files) {
    EXPECT_EQ(dweights.run({"inspect", path}, strace).code, code) << path;
    std::istringstream lines(read_file(log));
    bool opened = false;
    for (std::string line; std::getline(lines, line);) {
      opened = opened || (line.find("openat(") != std::string::npos && line.find(path) != std::string::npos);
      if (!opened) continue;
      for (const char* call : {"open(", "openat(", "openat2(", "creat(", "execve(", "execveat(", "fork(", "vfork(",
                               "socket(", "connect(", "unlink(", "unlinkat(", "rename(", "mkdir(", "symlink("})
        EXPECT_TRUE(line.find(call) == std::string::npos || line.find(path) != std::string::npos) << line;
      EXPECT_TRUE(line.find("clone") == std::string::npos || line.find("CLONE_THREAD") != std::string::npos) << line;
    }
    EXPECT_TRUE(opened) << path;
    EXPECT_TRUE(dweights.cwd_is_empty());
  }
}

}  // namespace
}  // namespace echodiff
