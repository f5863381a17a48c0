// The programs on data-set folders that once gave wrong results in silence (tests/data/cases): each comes out right, or
// is refused with the reason.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "quality/recordings/picture_list.h"
#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"
#include "train/data/dataset.h"
#include "train/model_run.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

const std::string kTrain =
    " --image-size 16 --dim 8 --mults 1,2 --batch 2 --timesteps 20 --val-every 0 --sample-every 0 ";
const std::string kSample = " --sampler ddim --sample-steps 5 ";

class DataFolders : public ::testing::Test {
 protected:
  static std::string data(const std::string& name) {
    return std::string(ECHODIFF_SOURCE_DIR) + "/tests/data/cases/" + name;
  }
  std::string at(const std::string& name) const { return dir_.at(name); }

  // The exit code; what the program said is in said_.
  int run(const std::string& command) {
    const std::string to = at("said");
    const int status = std::system((std::string(ECHODIFF_BIN_DIR) + "/" + command + " >" + to + " 2>&1").c_str());
    said_ = read_file(to);
    return WEXITSTATUS(status);
  }
  int train(const std::string& folder, const std::string& out, const std::string& more = "") {
    return run("dtrain diffusion --data " + folder + " --out " + at(out) + kTrain +
               (more.find("--steps") == std::string::npos ? "--steps 3 " : "") + more);
  }
  int sample(const std::string& model, const std::string& masks, const std::string& out, const std::string& more = "") {
    return run("dsample --model " + at(model) + " --masks " + masks + " --count 4 --out " + at(out) + kSample + more);
  }
  ::testing::AssertionResult says(const std::string& part) const {
    if (said_.find(part) != std::string::npos) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "no '" << part << "' in: " << said_;
  }
  std::map<std::string, std::string> images(const std::string& out) const {
    std::map<std::string, std::string> found;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / out / "images"))
      found[entry.path().filename().string()] = read_file(entry.path().string());
    return found;
  }
  // A copy of a case that a test may change.
  std::string copy(const std::string& name) const {
    fs::copy(data(name), dir_ / name, fs::copy_options::recursive);
    return at(name);
  }
  Metadata metadata(const std::string& run) const { return read_checkpoint(run_checkpoint(at(run))).metadata; }

  ScratchFolder dir_;
  std::string said_;
};

TEST_F(DataFolders, PlanesGoByNameWhereverTheyMeet) {
  ASSERT_EQ(train(data("plain"), "plain"), 0) << said_;
  EXPECT_TRUE(says("6 pictures in 6 groups: 5 train, 1 val, 0 test; planes: liver in 100 %, portal_vein in"));
  EXPECT_TRUE(says("left out: nothing"));
  ASSERT_EQ(sample("plain", data("plain"), "s"), 0) << said_;
  ASSERT_EQ(sample("plain", data("planes_swapped"), "t"), 0) << said_;
  EXPECT_EQ(images("s").size(), 4u);
  EXPECT_EQ(images("s"), images("t"));
  ASSERT_EQ(run("dsample record --model " + at("plain") + " --masks " + data("planes_swapped") + " --count 2 --out " +
                at("rec") + kSample),
            0)
      << said_;
  EXPECT_EQ(read_recording_facts(at("rec")).planes, (std::vector<std::string>{"liver", "portal_vein", "sector"}));

  const std::string renamed = copy("plain");
  write_file_atomic(renamed + "/dataset.json",
                    R"({"planes": [{"name": "liver", "value": 1}, {"name": "artery", "value": 2}]})");
  EXPECT_EQ(sample("plain", renamed, "u"), 65);
  EXPECT_TRUE(says("its planes are liver, artery, sector, expected those of the model: liver, portal_vein, sector"));
  EXPECT_EQ(train(renamed, "other", "--init " + at("plain")), 65);
  EXPECT_TRUE(says("its planes are liver, artery, sector, expected those of " + at("plain")));
}

TEST_F(DataFolders, ARunBeginsAndGoesOnWithThePlanesOfTheEarlierOne) {
  const std::string folder = copy("plain");
  ASSERT_EQ(train(folder, "whole", "--steps 4"), 0) << said_;
  ASSERT_EQ(train(folder, "parts"), 0) << said_;
  ASSERT_EQ(train(folder, "init", "--init " + at("whole")), 0) << said_;
  fs::copy_file(data("planes_swapped") + "/dataset.json", folder + "/dataset.json",
                fs::copy_options::overwrite_existing);
  ASSERT_EQ(train(folder, "parts", "--steps 4 --resume"), 0) << said_;
  const std::string last = "/checkpoints/step-00000004.safetensors", third = "/checkpoints/step-00000003.safetensors";
  EXPECT_EQ(read_file(at("parts" + last)), read_file(at("whole" + last)));
  ASSERT_EQ(train(folder, "init2", "--init " + at("whole")), 0) << said_;
  EXPECT_EQ(read_file(at("init2" + third)), read_file(at("init" + third)));
}

TEST_F(DataFolders, ARunBegunWithAnotherKeepsItsProcess) {
  ASSERT_EQ(train(data("plain"), "first", "--schedule cosine --predict v --fit crop"), 0) << said_;
  const std::string init = "dtrain diffusion --data " + data("plain") + " --batch 2 --image-size 16" +
                           " --val-every 0 --sample-every 0 --init " + at("first") + " --steps ";
  ASSERT_EQ(run(init + "2 --out " + at("second")), 0) << said_;
  const Metadata facts = metadata("second");
  EXPECT_EQ(facts.at("schedule"), "cosine");
  EXPECT_EQ(facts.at("predict"), "v");
  EXPECT_EQ(facts.at("timesteps"), "20");
  EXPECT_EQ(facts.at("fit"), "crop");
  const std::string config = read_file(at("second/config.toml"));
  EXPECT_NE(config.find("\nschedule = \"cosine\""), std::string::npos);
  EXPECT_NE(config.find("\ntimesteps = 20\n"), std::string::npos);
  EXPECT_NE(config.find("\nfit = \"crop\""), std::string::npos);
  for (const char* flag : {"--schedule linear", "--predict eps", "--timesteps 21"}) {
    EXPECT_EQ(run(init + "2 --out " + at("third") + " " + flag), 2);
    EXPECT_TRUE(says("leave it out to take the run's")) << flag;
  }
  EXPECT_EQ(run(init + "2 --out " + at("fourth") + " --fit pad --schedule cosine"), 0) << said_;
  ASSERT_EQ(run(init + "3 --out " + at("second") + " --resume"), 0) << said_;
  EXPECT_EQ(run(init + "4 --out " + at("second") + " --resume --fit pad"), 2);
}

TEST_F(DataFolders, WhatIsHeldOutDependsOnNoSeedAndTheRunKeepsIt) {
  ASSERT_EQ(train(data("plain"), "run0", "--seed 0"), 0) << said_;
  const std::string lists = read_file(at("run0/split.csv"));
  EXPECT_EQ(lists.find("file,split,group\np0.png,"), 0u);
  EXPECT_NE(lists.find(",val,"), std::string::npos);
  ASSERT_EQ(train(data("plain"), "run3", "--seed 3"), 0) << said_;
  EXPECT_EQ(read_file(at("run3/split.csv")), lists);
  const std::string segmenter = "dtrain segmenter --steps 1 --batch 2 --image-size 16 --dim 8 --mults 1,2 --data ";
  ASSERT_EQ(run(segmenter + data("plain") + " --seed 5 --out " + at("seg")), 0) << said_;
  EXPECT_TRUE(says("6 pictures in 6 groups: 5 train, 1 val"));
  EXPECT_EQ(read_file(at("seg/split.csv")), lists);

  // The folder says otherwise now; who is given the run follows it.
  const std::string folder = copy("plain");
  write_file_atomic(folder + "/index.csv",
                    "file,split\np0.png,val\np1.png,val\np2.png,val\np3.png,train\np4.png,train\np5.png,train\n");
  ASSERT_EQ(run(segmenter + folder + " --out " + at("seg2") + " --run " + at("run0")), 0) << said_;
  EXPECT_EQ(read_file(at("seg2/split.csv")), lists);
  EXPECT_TRUE(says("held out is what " + at("run0") + "/split.csv says"));
  const std::string followed = "held out is what " + at("run0") + "/split.csv says";
  ASSERT_EQ(run("dreport --runs " + at("run0") + " --data " + folder + " --out " + at("report.html")), 0) << said_;
  EXPECT_TRUE(says(followed));
  EXPECT_EQ(run("dlabel attack --images " + folder + " --image-size 16 --diffusion " + at("run0") + " --out " +
                at("attacks")),
            65);  // the run has no test pictures
  EXPECT_TRUE(says(followed));
  EXPECT_EQ(train(folder, "run0", "--seed 0 --steps 4 --resume"), 2);
  EXPECT_TRUE(says("training.data"));
  EXPECT_EQ(train(folder, "run0", "--seed 0 --steps 4 --resume --allow-changes"), 65);
  EXPECT_TRUE(says("the data has changed since the run began"));
}

TEST_F(DataFolders, TablesWithBlanksAreUnderstood) {
  EXPECT_EQ(train(data("csv_space"), "run"), 65);
  EXPECT_TRUE(says("no picture is in the train split"));
}

TEST_F(DataFolders, JpegPicturesAreRead) {
  ASSERT_EQ(train(data("mixed_jpg"), "run"), 0) << said_;
  EXPECT_TRUE(says("6 pictures in 6 groups: "));
  EXPECT_EQ(read_file(at("run/split.csv")).find(".jpg,,"), std::string::npos);
  EXPECT_NE(read_file(at("run/split.csv")).find("p5.jpg,"), std::string::npos);
  ASSERT_EQ(sample("run", data("mixed_jpg"), "s"), 0) << said_;
  // The masks are PNG: a policy that begins with their pictures finds these all the same.
  ASSERT_EQ(run("dlabel calibrate --size 16 --images " + data("mixed_jpg") + " --out " + at("rule.json")), 0) << said_;
  EXPECT_TRUE(says("thresholds from 6 pictures"));
  EXPECT_EQ(sample("run", data("mixed_jpg"), "t", "--policy es-ddpm --thresholds " + at("rule.json")), 0) << said_;
}

TEST_F(DataFolders, ANetworkOfTheSectorAloneIsSampled) {
  ASSERT_EQ(train(data("only_sector"), "run"), 0) << said_;
  ASSERT_EQ(sample("run", data("only_sector"), "s"), 0) << said_;
  EXPECT_EQ(images("s").size(), 4u);
  EXPECT_EQ(sample("run", data("plain"), "t"), 65) << "it knows no liver";
  EXPECT_EQ(run("dsample --model " + at("run") + " --count 2 --out " + at("u") + kSample), 2);
  EXPECT_TRUE(says("--masks"));
}

TEST_F(DataFolders, ANetworkWithoutMasksNeedsNone) {
  DenoiserRun model;
  model.options.dim = 8;
  model.options.mults = {1, 2};
  model.options.planes = 0;
  model.T = 20;
  model.image_size = model.options.image_size = 16;
  Metadata metadata = to_metadata(model);
  metadata["step"] = "1";
  fs::create_directories(dir_ / "run/checkpoints");
  save_checkpoint(at("run"), 1, Denoiser(model.options, 3).state_dict(), metadata, 0);
  const std::string model_flag = " --model " + at("run") + kSample;
  ASSERT_EQ(run("dsample --count 2 --out " + at("s") + model_flag), 0) << said_;
  EXPECT_EQ(images("s").size(), 2u);
  ASSERT_EQ(run("dsample --count 2 --out " + at("t") + model_flag + " --masks " + data("plain")), 0) << said_;
  EXPECT_EQ(images("s"), images("t")) << "masks change nothing";
  EXPECT_EQ(run("dsample record --count 2 --out " + at("rec") + model_flag), 0) << said_;
  EXPECT_EQ(run("dsample --count 2 --policy es-ddpm --out " + at("u") + model_flag), 2);
}

TEST_F(DataFolders, MasksThatWentThroughJpegAreRefused) {
  EXPECT_EQ(train(data("masks_jpeg_dirt"), "run"), 65);
  EXPECT_TRUE(says("JPEG"));
  EXPECT_TRUE(says("dataset.json"));
  EXPECT_TRUE(says("as planes (NAME=VALUE"));
}

TEST_F(DataFolders, APlaneThatVanishesIsWarnedOf) {
  ASSERT_EQ(train(data("vein_vanishes"), "run"), 0) << said_;
  EXPECT_TRUE(
      says("warning: plane portal_vein is empty at 16 pixels in 4 of the 4 pictures that show it; the smallest "
           "image size that keeps it is "));
}

// All of a picture's shape follows the run: here the sector that its masks are given.
TEST_F(DataFolders, MasksAreFittedAsTheRunsPicturesWere) {
  for (const char* part : {"images", "masks"}) fs::create_directories(dir_ / "wide" / part);
  for (const char* name : {"a.png", "b.png"}) {
    write_png(at("wide/images/") + name, {32, 16, std::vector<uint8_t>(512, 90)});
    write_png(at("wide/masks/") + name, {32, 16, std::vector<uint8_t>(512, 1)});
  }
  const auto sector_of = [&](const std::string& model) {
    EXPECT_EQ(run("dsample record --model " + at(model) + " --masks " + at("wide") + " --count 1 --out " +
                  at(model + "_rec") + kSample),
              0)
        << said_;
    int64_t pixels = 0;
    const std::vector<double> planes = read_recording(at(model + "_rec"), false).conditions[0].to_vector();
    for (size_t i = planes.size() / 2; i < planes.size(); ++i) pixels += planes[i] != 0;
    return pixels;
  };
  ASSERT_EQ(train(at("wide"), "pad"), 0) << said_;
  EXPECT_TRUE(says("2 aren't square, made so by pad"));
  EXPECT_EQ(metadata("pad").at("fit"), "pad");
  EXPECT_EQ(sector_of("pad"), 128);
  // A replay stands for a run with the same network.
  ASSERT_EQ(run("dsample replay " + at("pad_rec") + " --out " + at("replayed")), 0) << said_;
  EXPECT_EQ(origin_of_samples(at("replayed")).fit, Fit::pad);
  ASSERT_EQ(sample("pad", at("wide"), "samples"), 0) << said_;
  const std::string origin = at("pad");
  EXPECT_EQ(origin_of_samples(at("samples")).model, origin);
  const std::vector<ListedPicture> listed = list_pictures(at("samples"), at("wide"));
  EXPECT_EQ(listed.size(), 4u);
  EXPECT_EQ(listed[0].fit, Fit::pad);
  ASSERT_EQ(train(at("wide"), "squash", "--fit squash"), 0) << said_;
  EXPECT_EQ(metadata("squash").count("fit"), 0u) << "as in runs from before there was a choice";
  EXPECT_EQ(sector_of("squash"), 256);
  ASSERT_EQ(train(at("wide"), "squash", "--steps 4 --resume"), 0) << said_;
  EXPECT_TRUE(says("made so by squash"));

  const std::string segmenter = "dtrain segmenter --steps 1 --batch 2 --image-size 16 --dim 8 --mults 1,2 --data ";
  ASSERT_EQ(run(segmenter + at("wide") + " --out " + at("seg") + " --run " + at("squash")), 0) << said_;
  EXPECT_TRUE(says("made so by squash"));
  EXPECT_EQ(run(segmenter + at("wide") + " --out " + at("no") + " --fit pad --run " + at("squash")), 2);
}

}  // namespace
}  // namespace echodiff
