// Checkpoints: the same bytes each time, every bit covered by a hash, `latest`, how many are kept, no NaN.
#include "train/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "train/run_dir.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

std::vector<NamedTensor> some_tensors() {
  return {{"conv.weight", from_vector({2, 3, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})},
          {"ema.conv.weight", from_vector({2, 3, 1, 2}, {1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})},
          {"train.step", from_vector({}, {7}, DType::i64)}};
}

class Checkpoint : public ::testing::Test {
 protected:
  std::string save(int64_t step, int64_t keep = 2) const {
    return save_checkpoint(run_.string(), step, some_tensors(),
                           {{"step", std::to_string(step)}, {"planes", "liver,sector"}}, keep);
  }
  int64_t files() const {
    int64_t count = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(run_ / "checkpoints"))
      count += entry.path().extension() == ".safetensors";
    return count;
  }

  ScratchFolder run_;
};

TEST_F(Checkpoint, ReadsBackWhatWasSaved) {
  const std::string path = save(12);
  EXPECT_EQ(fs::path(path).filename(), "step-00000012.safetensors");
  EXPECT_EQ(latest_checkpoint(run_.string()), path);
  EXPECT_EQ(read_file((run_ / "latest").string()), "step-00000012.safetensors\n");
  const SafetensorsFile file = read_checkpoint(path);
  EXPECT_EQ(file.metadata, (Metadata{{"step", "12"}, {"planes", "liver,sector"}}));
  ASSERT_EQ(file.tensors.size(), 3U);
  EXPECT_EQ(file.at("conv.weight").to_vector(), some_tensors()[0].tensor.to_vector());
  EXPECT_EQ(raw_weights(file.tensors).size(), 1U);
  EXPECT_EQ(with_prefix(file.tensors, "ema.")[0].name, "conv.weight");
}

TEST_F(Checkpoint, TheSameBytesEachTime) {
  EXPECT_EQ(encode_checkpoint(some_tensors(), {{"step", "1"}}), encode_checkpoint(some_tensors(), {{"step", "1"}}));
}

TEST(CheckpointBytes, EveryFlippedBitIsRefused) {
  std::string bytes = encode_checkpoint(some_tensors(), {{"step", "1"}});
  int64_t accepted = 0;
  for (size_t byte = 0; byte < bytes.size(); ++byte)
    for (int bit = 0; bit < 8; ++bit) {
      bytes[byte] = char(bytes[byte] ^ (1 << bit));
      for (const auto parse : {parse_checkpoint, parse_weights}) {
        try {
          parse(bytes, "flipped");
          ++accepted;
        } catch (const Error& error) {
          EXPECT_EQ(error.fault(), Fault::kBadInput) << error.what();
        }
      }
      bytes[byte] = char(bytes[byte] ^ (1 << bit));
    }
  EXPECT_EQ(accepted, 0);
}

// Sealed by whatever wrote it: nothing good comes of such weights.
TEST(CheckpointBytes, ANaNIsRefusedByName) {
  for (const double value : {double(NAN), double(INFINITY)}) {
    std::vector<NamedTensor> tensors = some_tensors();
    tensors[1].tensor = from_vector({2}, {1, value});
    const std::string bytes = encode_checkpoint(tensors, {{"step", "1"}});
    for (const auto parse : {parse_checkpoint, parse_weights}) {
      try {
        parse(bytes, "bad.safetensors");
        ADD_FAILURE() << "accepted";
      } catch (const Error& error) {
        EXPECT_EQ(error.fault(), Fault::kBadInput);
        EXPECT_NE(std::string(error.what()).find("bad.safetensors: ema.conv.weight holds a NaN"), std::string::npos)
            << error.what();
      }
    }
    EXPECT_NO_THROW(parse_sealed(bytes, "scores"));  // a recording has gaps
  }
}

TEST_F(Checkpoint, ALostLatestIsNoticed) {
  EXPECT_EQ(stray_checkpoint(run_.string()), "");
  save(1);
  save(2);
  EXPECT_EQ(stray_checkpoint(run_.string()), "");
  fs::remove(run_ / "checkpoints" / "latest");
  EXPECT_EQ(fs::path(stray_checkpoint(run_.string())).filename(), "step-00000002.safetensors");
}

TEST(CheckpointBytes, EveryCutIsRefused) {
  const std::string good = encode_checkpoint(some_tensors(), {{"step", "1"}});
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_THROW(parse_checkpoint(good.substr(0, length), "cut"), Error) << length;
}

TEST_F(Checkpoint, AFileMadeElsewhereIsWeightsOnly) {
  const std::string path = (run_ / "other.safetensors").string();
  write_safetensors(path, {{"w", full({2}, 1)}}, {{"format", "pt"}});
  EXPECT_EQ(read_weights(path).tensors.size(), 1U);
  EXPECT_THROW(read_checkpoint(path), Error);
}

TEST_F(Checkpoint, KeepsTheNewestAndWhatIsNotItsOwn) {
  EXPECT_EQ(latest_checkpoint(run_.string()), "");
  save(1);
  std::ofstream(run_ / "checkpoints" / "backup.tmp") << "a user's";
  std::ofstream(run_ / "checkpoints" / ".echodiff-tmp-1-2") << "half";
  save(2);
  save(3);
  EXPECT_EQ(files(), 2);
  EXPECT_FALSE(fs::exists(run_ / "checkpoints" / "step-00000001.safetensors"));
  EXPECT_TRUE(fs::exists(run_ / "checkpoints" / "backup.tmp"));
  const RunDirectory next(run_.string());  // the next writer
  EXPECT_FALSE(fs::exists(run_ / "checkpoints" / ".echodiff-tmp-1-2"));
  EXPECT_TRUE(fs::exists(run_ / "checkpoints" / "backup.tmp"));
  save(2, 0);  // going back keeps what is named, whatever lies beside it
  EXPECT_EQ(fs::path(latest_checkpoint(run_.string())).filename(), "step-00000002.safetensors");
}

TEST_F(Checkpoint, NeverHoldsANaN) {
  save(1);
  std::vector<NamedTensor> bad = some_tensors();
  bad[0].tensor = full({2}, std::numeric_limits<double>::quiet_NaN());
  EXPECT_THROW(save_checkpoint(run_.string(), 2, bad, {}, 2), Error);
  EXPECT_EQ(fs::path(latest_checkpoint(run_.string())).filename(), "step-00000001.safetensors");
  EXPECT_EQ(files(), 1);
}

TEST_F(Checkpoint, LatestMustNameACheckpoint) {
  save(1);
  std::ofstream(run_ / "checkpoints" / "latest", std::ios::trunc) << "../../etc/passwd\n";
  EXPECT_THROW(latest_checkpoint(run_.string()), Error);
}

}  // namespace
}  // namespace echodiff
