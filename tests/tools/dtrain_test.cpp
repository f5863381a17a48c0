// dtrain diffusion as a program: resumed runs equal the unbroken one, and every refusal has its exit code.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class DtrainDiffusion : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* part : {"images", "masks"}) fs::create_directories(dir_ / "data" / part);
    for (int n = 0; n < 12; ++n) {
      GrayImage image{16, 16, std::vector<uint8_t>(256)}, mask = image;
      for (int64_t i = 0; i < 256; ++i) {
        image.pixels[size_t(i)] = uint8_t((i * (n + 3)) % 251);
        mask.pixels[size_t(i)] = i % 16 < n;
      }
      write_png((dir_ / "data" / "images" / (std::to_string(n) + ".png")).string(), image);
      write_png((dir_ / "data" / "masks" / (std::to_string(n) + ".png")).string(), mask);
    }
  }

  // The exit code of dtrain diffusion with a tiny network.
  int train(const std::string& out, const std::string& more) const {
    const std::string command =
        std::string(ECHODIFF_BIN_DIR) + "/dtrain diffusion --data " + (dir_ / "data").string() +
        " --planes organ=1 --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50 --flip" +
        " --dropout 0.1 --mask-drop 0.2 --val-every 2 --val-count 1 --sample-every 0 --quiet" + " --out " +
        (dir_ / out).string() + " " + more + " 2>/dev/null";
    return WEXITSTATUS(std::system(command.c_str()));
  }
  std::string file(const std::string& name) const { return read_file((dir_ / name).string()); }
  std::string log(const std::string& run) const {  // without the one field that may differ
    return std::regex_replace(file(run + "/log.jsonl"), std::regex("\"seconds\": [^,}]*"), "");
  }

  ScratchFolder dir_;
};

TEST_F(DtrainDiffusion, ResumedRunsEqualTheUnbrokenOne) {
  const std::string last = "/checkpoints/step-00000006.safetensors";
  ASSERT_EQ(train("whole", "--steps 6 --threads 1"), 0);
  for (const std::string at : {"1", "3", "4"}) {
    const std::string run = "resumed" + at;
    ASSERT_EQ(train(run, "--steps " + at), 0);
    ASSERT_EQ(train(run, "--steps 6 --resume --threads 2"), 0);
    EXPECT_EQ(file(run + last), file("whole" + last)) << at;
    EXPECT_EQ(log(run), log("whole")) << at;
  }
}

TEST_F(DtrainDiffusion, PatchesAreKeptByTheRun) {
  const std::string last = "/checkpoints/step-00000004.safetensors";
  ASSERT_EQ(train("whole", "--steps 4 --patch 2"), 0);
  ASSERT_EQ(train("resumed", "--steps 2 --patch 2"), 0);
  ASSERT_EQ(train("resumed", "--steps 4 --resume"), 0);
  EXPECT_EQ(file("resumed" + last), file("whole" + last));
  EXPECT_NE(file("whole/config.toml").find("patch = 2"), std::string::npos);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --patch 4"), 2);
  EXPECT_EQ(train("begun", "--steps 1 --init " + (dir_ / "whole").string()), 0);
  EXPECT_EQ(train("other", "--steps 1 --patch 4 --init " + (dir_ / "whole").string()), 2);
  EXPECT_EQ(train("three", "--steps 1 --patch 3"), 2);
}

TEST_F(DtrainDiffusion, TheBasisOfPatchesIsKeptByTheRun) {
  const std::string last = "/checkpoints/step-00000004.safetensors", haar = " --patch 2 --patch-basis haar";
  ASSERT_EQ(train("whole", "--steps 4" + haar), 0);
  ASSERT_EQ(train("resumed", "--steps 2" + haar), 0);
  ASSERT_EQ(train("resumed", "--steps 4 --resume"), 0);
  EXPECT_EQ(file("resumed" + last), file("whole" + last));
  EXPECT_NE(file("whole" + last).find("\"network.patch_basis\":\"haar\""), std::string::npos);
  EXPECT_NE(file("whole/config.toml").find("patch-basis = \"haar\""), std::string::npos);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --patch-basis shuffle"), 2);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --patch-basis haar --config " + (dir_ / "whole/config.toml").string()),
            0);
  const std::string init = "--steps 1 --init " + (dir_ / "whole").string();
  EXPECT_EQ(train("begun", init), 0);
  EXPECT_NE(file("begun/config.toml").find("patch-basis = \"haar\""), std::string::npos);
  EXPECT_EQ(train("other", init + " --patch-basis shuffle"), 2);
  EXPECT_EQ(train("single", "--steps 1 --patch-basis haar"), 2);
  ASSERT_EQ(train("pixels", "--steps 2 --patch 2"), 0);
  EXPECT_EQ(file("pixels/checkpoints/step-00000002.safetensors").find("patch-basis"), std::string::npos);
  EXPECT_EQ(file("pixels/checkpoints/step-00000002.safetensors").find("patch_basis"), std::string::npos);
  EXPECT_EQ(train("pixels", "--steps 4 --resume --patch-basis haar"), 2);
}

TEST_F(DtrainDiffusion, TheShiftOfItsScheduleIsKeptByTheRun) {
  const std::string last = "/checkpoints/step-00000004.safetensors", said = "\"log_snr_shift\":\"1.3862943611198906\"";
  ASSERT_EQ(train("whole", "--steps 4 --schedule-shift 32"), 0);  // of 16 pixels: 2 log 2
  ASSERT_EQ(train("resumed", "--steps 2 --schedule-shift 32"), 0);
  ASSERT_EQ(train("resumed", "--steps 4 --resume"), 0);
  EXPECT_EQ(file("resumed" + last), file("whole" + last));
  EXPECT_NE(file("whole" + last).find(said), std::string::npos);
  EXPECT_NE(file("resumed/config.toml").find("\nschedule-shift = 32\n"), std::string::npos);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --schedule-shift 8"), 2);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --schedule-shift 0"), 2);
  EXPECT_EQ(train("resumed", "--steps 6 --resume --config " + (dir_ / "whole/config.toml").string()), 0);
  const std::string init = "--steps 1 --init " + (dir_ / "whole").string();
  ASSERT_EQ(train("begun", init), 0);
  EXPECT_NE(file("begun/checkpoints/step-00000001.safetensors").find(said), std::string::npos);
  EXPECT_EQ(train("other", init + " --schedule-shift 64"), 2);
  ASSERT_EQ(train("plain", "--steps 2"), 0);
  const std::string plain = file("plain/checkpoints/step-00000002.safetensors");
  for (const char* name : {"log_snr_shift", "schedule-shift"}) EXPECT_EQ(plain.find(name), std::string::npos);
  EXPECT_EQ(train("plain", "--steps 4 --resume --schedule-shift 32"), 2);
  ASSERT_EQ(train("shifted", "--steps 2 --schedule-shift 32"), 0);
  EXPECT_NE(log("shifted"), log("plain"));
}

TEST_F(DtrainDiffusion, RefusesWithTheDocumentedExitCodes) {
  EXPECT_EQ(train("run", "--condition spade --arch lucidrains1"), 2);
  EXPECT_EQ(train("run", "--steps 1 --epochs 1"), 2);
  EXPECT_EQ(train("run", "--init " + (dir_ / "none.safetensors").string()), 66);
  EXPECT_EQ(train("run", "--init " + (dir_ / "data/images/1.png").string()), 65);
  ASSERT_EQ(train("run", "--steps 2"), 0);
  EXPECT_EQ(train("run", "--steps 4"), 73);
  EXPECT_EQ(train("run", "--steps 4 --resume --seed 9"), 2);
  EXPECT_EQ(train("diverged", "--steps 50 --save-every 1 --lr 1e6 --clip 0"), 70);
}

TEST_F(DtrainDiffusion, ADamagedCheckpointIsRefused) {
  ASSERT_EQ(train("run", "--steps 2"), 0);
  std::string bytes = file("run/checkpoints/step-00000002.safetensors");
  bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] ^ 1);
  write_file_atomic((dir_ / "run/checkpoints/step-00000002.safetensors").string(), bytes);
  EXPECT_EQ(train("run", "--steps 4 --resume"), 65);
}

}  // namespace
}  // namespace echodiff
