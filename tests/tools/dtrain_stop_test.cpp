// dtrain diffusion --stop-on: a run that ends before its last step says so, and one that was broken off ends there too.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/best_checkpoint.h"
#include "train/run_status.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class StopEarly : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new ScratchFolder;
    ASSERT_EQ(run("dphantom --count 24 --size 16 --seed 1 --out " + at("data")), 0);
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return folder_->at(name); }

  static std::string command(const std::string& out, const std::string& more, const std::string& data = "data") {
    return "dtrain diffusion --data " + at(data) + " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 50" +
           " --val-count 2 --sample-count 1 --sample-steps 3 --save-every 3 --out " + at(out) + " " + more;
  }
  // A rate so high that the loss soon rises.
  static int train(const std::string& out, const std::string& more) {
    return run(command(out, "--lr 3e-2 --ema 0.5 --val-every 2 --sample-every 0 " + more));
  }
  // What it says, where it ends well.
  static std::string said(const std::string& line) {
    const std::string whole = std::string(ECHODIFF_BIN_DIR) + "/" + line + " >" + at("said") + " 2>&1";
    return std::system(whole.c_str()) == 0 ? read_file(at("said")) : "";
  }
  static std::string log(const std::string& out) {
    return std::regex_replace(read_file(at(out + "/log.jsonl")), std::regex("\"seconds\": [^,}]*"), "");
  }
  static std::string newest(const std::string& out) { return fs::path(latest_checkpoint(at(out))).filename(); }
  static void expect_equal(const std::string& a, const std::string& b) {
    EXPECT_EQ(newest(a), newest(b));
    EXPECT_EQ(read_file(latest_checkpoint(at(a))), read_file(latest_checkpoint(at(b)))) << a << " " << b;
    EXPECT_EQ(read_file(best_checkpoint(at(a))), read_file(best_checkpoint(at(b)))) << a << " " << b;
    EXPECT_EQ(log(a), log(b));
  }

  static ScratchFolder* folder_;
};
ScratchFolder* StopEarly::folder_ = nullptr;

TEST_F(StopEarly, WhereTheValidationLossHasNotImprovedForLong) {
  const std::string stop = "--stop-on val --patience 2 ";
  ASSERT_EQ(train("early", stop + "--steps 12"), 0);
  ASSERT_EQ(newest("early"), "step-00000006.safetensors");  // the best is of step 2
  EXPECT_NE(log("early").find("{\"step\": 6, \"stopped\": \"the validation loss of step 2 "), std::string::npos);
  EXPECT_TRUE(read_run_status(at("early")).finished());
  EXPECT_NE(said("dtrain status " + at("early")).find("6 of 12 (50 %), finished early: the validation loss"),
            std::string::npos);
  // Broken off at a validation, between two, and beyond where it ends.
  for (const char* at_step : {"3", "4", "5"}) {
    const std::string out = std::string("early") + at_step;
    ASSERT_EQ(train(out, stop + "--steps " + at_step), 0);
    EXPECT_FALSE(read_run_status(at(out)).stopped.size() > 0);
    ASSERT_EQ(train(out, stop + "--steps 12 --resume"), 0);
    expect_equal(out, "early");
  }
  fs::copy(at("early"), at("again"), fs::copy_options::recursive);
  const std::string again = command("again", "--lr 3e-2 --ema 0.5 --val-every 2 --sample-every 0 --steps 12 --resume ");
  EXPECT_NE(said(again + stop).find("finished after step 6 of 12, by --stop-on val"), std::string::npos);
  expect_equal("again", "early");
}

TEST_F(StopEarly, AndGoesOnWhereToldTo) {
  ASSERT_EQ(train("whole", "--steps 12"), 0);
  ASSERT_EQ(train("stopped", "--steps 12 --stop-on val --patience 1"), 0);
  ASSERT_EQ(newest("stopped"), "step-00000004.safetensors");
  ASSERT_EQ(train("stopped", "--steps 12 --stop-on val --patience 2 --resume"), 0);
  ASSERT_EQ(newest("stopped"), "step-00000006.safetensors");
  EXPECT_EQ(train("stopped", "--steps 12 --stop-on never --resume"), 0);
  EXPECT_EQ(read_file(latest_checkpoint(at("stopped"))), read_file(latest_checkpoint(at("whole"))));
  EXPECT_EQ(read_run_status(at("stopped")).stopped, "");
}

// A network that learns nothing draws the same whatever it is trained on: so what it draws can be made a training
// picture.
TEST_F(StopEarly, WhereSamplesAreCopiesOfTrainingPictures) {
  std::string index = "file,split\n";
  for (const fs::directory_entry& entry : fs::directory_iterator(at("data/images"))) {
    const std::string file = entry.path().filename();
    index += file + (file < "000004.png" ? ",val\n" : ",train\n");
  }
  write_file_atomic(at("data/index.csv"), index);
  const std::string flags = "--lr 0 --steps 4 --stop-on copies --copy-count 1 --val-every 2 --sample-every ";
  ASSERT_EQ(run(command("apart", flags + "4")), 0);
  EXPECT_EQ(newest("apart"), "step-00000004.safetensors");
  EXPECT_NE(log("apart").find("\"copies\": 0"), std::string::npos);

  const GrayImage sheet = read_png(at("apart/samples/step-00000004.png"));  // masks, raw, averaged
  GrayImage drawn{16, 16, {}};
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 16; ++x) drawn.pixels.push_back(sheet.pixels[size_t((36 + y) * sheet.width + x)]);
  fs::copy(at("data"), at("copied"), fs::copy_options::recursive);
  write_png(at("copied/images/000010.png"), drawn);
  ASSERT_EQ(run(command("copying", flags + "0", "copied")), 0);
  EXPECT_EQ(newest("copying"), "step-00000002.safetensors");
  EXPECT_NE(log("copying").find("\"stopped\": \"of the samples at step 2 a share of 1 are copies"), std::string::npos);
  EXPECT_EQ(run(command("copying", flags + "0 --resume", "copied")), 0);
  EXPECT_EQ(newest("copying"), "step-00000002.safetensors");
}

TEST_F(StopEarly, NeedsValidations) {
  EXPECT_EQ(run(command("none", "--steps 2 --stop-on val --val-every 0")), 2);
  EXPECT_FALSE(fs::exists(at("none")));
}

}  // namespace
}  // namespace echodiff
