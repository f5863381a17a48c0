// What strangers' files and odd surroundings do to the programs: nothing but a refusal in one line.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "nn/denoiser.h"
#include "quality/labels/labels.h"
#include "quality/recordings/sample_folder.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/io/toml.h"
#include "tensor/ops.h"
#include "tests/nn/torch_import/torch_files.h"
#include "tests/scratch_folder.h"
#include "tests/tools/dweights_folder.h"
#include "train/checkpoint.h"
#include "train/model_run.h"

namespace echodiff {
namespace {

class Hostile : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.at(name); }
  // The exit code; what stderr said is left in `said`. No program may wait: 124 after 20 s.
  int run(const std::string& command) {
    const std::string line =
        concat_message("cd ", folder_.string(), " && { timeout 20 ", ECHODIFF_BIN_DIR, "/", command, "; } >out 2>said");
    const int code = WEXITSTATUS(std::system(line.c_str()));
    said = read_file(at("said"));
    return code;
  }
  void expect_refused(const std::string& command, int code, const std::string& part) {
    EXPECT_EQ(run(command), code) << command << ": " << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    EXPECT_NE(said.find(part), std::string::npos) << said;
  }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    write_file_atomic(at(name), text);
  }
  void write_picture(const std::string& name) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    write_png(at(name), {16, 16, std::vector<uint8_t>(256, 7)});
  }
  void write_network(const std::string& name) const {
    Denoiser network({.planes = 2, .dim = 8, .mults = {1, 2}}, 1);
    write_safetensors(at(name), network.state_dict(), {});
  }

  ScratchFolder folder_;
  std::string said;
};

TEST_F(Hostile, NamesWriteNothingIntoTheConfig) {
  write_picture("data/images/0.png");
  write_picture("data/masks/0.png");
  const std::string train = "dtrain diffusion --data data --out run --image-size 16 --steps 1 --dim 8 --mults 1,2";
  for (const char* name : {R"(a\"\nlr = 9\nout = \"x)", R"(a,b)", R"(nul\u0000)", R"(\u001b[31m)"}) {
    write("data/dataset.json", concat_message(R"({"planes": [{"name": ")", name, R"(", "value": 7}]})"));
    expect_refused(train, 65, "expected a name in UTF-8 without commas");
  }
  EXPECT_FALSE(fs::exists(at("run")));
  write_network("net.safetensors");
  ASSERT_EQ(run("dweights import net.safetensors --as lucidrains --out imported --planes 'left \"lobe\" # 1,sector'"),
            0)
      << said;
  EXPECT_EQ(read_flat_toml(at("imported/config.toml")).at("resolved.planes"), "left \"lobe\" # 1,sector");
  expect_refused("dweights import net.safetensors --as lucidrains --out x --planes 'a\nb,sector'", 2, "a\\nb");
}

TEST_F(Hostile, NoControlCharacterReachesTheTerminal) {
  const auto expect_plain = [&] {
    EXPECT_TRUE(std::all_of(said.begin(), said.end(), [](char c) { return c == '\n' || uint8_t(c) >= ' '; })) << said;
    EXPECT_NE(said.find("\\x1b[2J"), std::string::npos) << said;
  };
  expect_refused("dweights inspect '\x1b[2J\n'", 66, "\\x1b[2J\\n");
  expect_plain();
  expect_refused("dlabel review none.jsonl --out r.html --config '\x1b[2J'", 2, "\\x1b[2J");
  expect_plain();
  expect_refused("dweights inspect x --'\x1b[2J'", 2, "\\x1b[2J");
  expect_plain();
  expect_refused("dweights inspect '\xff'", 2, "UTF-8");
}

TEST_F(Hostile, SpecialFilesAreRefusedAtOnce) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  fs::create_directory(at("images"));
  ASSERT_EQ(::mkfifo(at("images/0.png").c_str(), 0600), 0);
  for (const char* command :
       {"dweights inspect pipe", "dweights inspect /dev/zero", "dweights import pipe --as lucidrains --out run",
        "dtrain diffusion --config pipe", "dtrain diffusion --config /dev/zero", "dlabel apply pipe pipe",
        "dlabel calibrate --images . --size 16 --out t.json", "dsample --model pipe --masks . --out s --count 1",
        "dtrain scorer --labels /dev/zero --out run"})
    expect_refused(command, 65, "expected a regular file");
  fs::remove(at("images/0.png"));
  write_picture("images/0.png");
  expect_refused("dlabel calibrate --images . --size 16 --out pipe", 73, "is a device");
  EXPECT_TRUE(fs::is_fifo(at("pipe")));
}

TEST_F(Hostile, ClosedStreamsTakeNoFilesPlace) {
  write_network("net.safetensors");
  const std::string import = "dweights import net.safetensors --as lucidrains --out ";
  EXPECT_EQ(run(import + "run <&- >&- 2>&-"), 0);
  EXPECT_EQ(fs::file_size(at("run/.lock")), 0u);
  EXPECT_EQ(run("dweights inspect none <&- >&- 2>&-"), 66);
  ASSERT_EQ(run(import + "again"), 0);
  EXPECT_EQ(read_file(latest_checkpoint(at("run"))), read_file(latest_checkpoint(at("again"))));
  EXPECT_EQ(read_file(at("run/config.toml")), read_file(at("again/config.toml")));
}

TEST_F(Hostile, LabelsAndSamplesStayInTheirFolder) {
  write_picture("secret.png");
  write_picture("data/images/0.png");
  for (const std::string& file :
       {std::string("../secret.png"), at("secret.png"), std::string("images/../../secret.png")}) {
    Labels labels;
    labels.images.emplace_back().file = file;
    write_labels(at("data/labels.jsonl"), labels);
    expect_refused("dlabel review data/labels.jsonl --out r.html", 65,
                   "labels.jsonl:2: file: expected a picture inside");
    expect_refused("dtrain scorer --labels data/labels.jsonl --out run", 65, "--allow-outside");
    EXPECT_EQ(run("dlabel review data/labels.jsonl --out r.html --allow-outside"), 0) << said;
  }
  write("samples/samples.jsonl", R"({"index": 0, "mask": "../../secret.png"})"
                                 "\n");
  EXPECT_THROW(read_sampled_masks(at("samples")), Error);
}

TEST_F(Hostile, PagesMayOnlyShowWhatTheyHold) {
  write_picture("images/0.png");
  Labels labels;
  labels.images.emplace_back().file = "images/0.png";
  write_labels(at("labels.jsonl"), labels);
  ASSERT_EQ(run("dlabel review labels.jsonl --out r.html"), 0) << said;
  const std::string page = read_file(at("r.html"));
  const size_t policy = page.find("Content-Security-Policy\" content=\"default-src 'none'");
  EXPECT_LT(policy, page.find("<script"));
  EXPECT_LT(policy, page.find("<style"));
}

TEST_F(Hostile, WeightsWhereARunIsWantedAreNamedWithTheLineToRun) {
  write_network("net.safetensors");
  write("junk", "junk, junk");
  write_picture("data/masks/0.png");
  for (const char* command :
       {"dsample --masks data --count 1 --out s --model net.safetensors", "dweights export net.safetensors --out x"})
    expect_refused(command, 65, "dweights import net.safetensors --as lucidrains --out RUN");
  expect_refused("dsample --masks data --count 1 --out s --model junk", 65, "junk: expected a run directory or one of");
  ASSERT_EQ(run("dweights import net.safetensors --as lucidrains --out run"), 0);
  EXPECT_EQ(run("dweights export run --out x.safetensors"), 0) << said;
  EXPECT_EQ(run("dweights export run/checkpoints/step-00000000.safetensors --out x.safetensors"), 0) << said;
}

// A sealed checkpoint may come from a stranger, too.
TEST_F(Hostile, ACheckpointOfNoNetworkIsBadInput) {
  DenoiserRun run;
  run.options = {.planes = 2, .dim = 8, .mults = {1, 2}};
  run.planes = {"organ", "sector"};
  write_picture("data/masks/0.png");
  for (const auto& [key, value] : {std::pair{"network.mults", "1,4611686018427387904"},
                                   {"network.mults", "1,2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"},
                                   {"network.dim", "0"},
                                   {"network.dim", "9223372036854775800"},
                                   {"network.image_channels", "9223372036854775807"},
                                   {"network.heads", "9223372036854775807"},
                                   {"planes", "a\nb,sector"}}) {
    Metadata metadata = to_metadata(run);
    metadata["step"] = "0";
    metadata[key] = value;
    fs::remove_all(at("run"));
    save_checkpoint(at("run"), 0, {{"init_conv.weight", zeros({8, 3, 7, 7})}}, metadata, 0);
    expect_refused("dsample --model run --masks data --count 1 --out s", 65, "metadata: ");
  }
}

TEST_F(Hostile, AFullDiskAtTheLockIsAWriteThatFailed) {
  write_network("net.safetensors");
  const std::string import =
      concat_message(ECHODIFF_BIN_DIR, "/dweights import net.safetensors --as lucidrains --out run");
  const auto traced = [&](const std::string& options, const std::string& command) {
    return WEXITSTATUS(std::system(
        concat_message("cd ", folder_.string(), " && strace -o trace ", options, command, " 2>said").c_str()));
  };
  if (traced("-e trace=openat ", "true") != 0) GTEST_SKIP() << "no strace here, or it may not trace";
  EXPECT_EQ(traced("-f -P run/.lock -e inject=openat:error=ENOSPC ", import), 74) << read_file(at("said"));
}

// Memory by what the file holds: twice its size and 64 MiB, whatever it asks for.
TEST(HostileWeights, ViewsAndEmptyTensorsStayWithinTheirFile) {
  const DweightsFolder dweights;
  const auto views = [](int64_t count, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    PickleWriter w;
    w.raw("}(");
    for (int64_t i = 0; i < count; ++i)
      w.text("t" + std::to_string(i)).tensor("FloatStorage", "0", 6, 0, shape, strides);
    return torch_zip(w.raw("u").stop(), {std::string(24, '\0')});
  };
  std::string header = "{";
  for (int64_t i = 0; i < 100000; ++i)
    header += concat_message(i > 0 ? "," : "", "\"t", i, R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})");
  header += "}";
  const uint64_t length = header.size();
  std::string empties(8, '\0');
  std::memcpy(empties.data(), &length, 8);
  empties += header;
  for (const auto& [name, bytes] : {std::pair{"same.pt", views(400, {1024, 1024}, {0, 0})},
                                    {"empty.pt", views(100000, {0}, {1})},
                                    {"empty.safetensors", empties}}) {
    const std::string path = dweights.file(name, bytes);
    const int64_t limit = 2 * int64_t(bytes.size()) + (64 << 20);
    for (const Outcome& outcome :
         {dweights.run({"inspect", path, "--threads", "1"}, {}, limit),
          dweights.run({"convert", path, "--out", dweights.at("x"), "--threads", "1"}, {}, limit)})
      EXPECT_EQ(outcome.code, 65) << name << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace echodiff
