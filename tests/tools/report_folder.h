// A folder of small made-up runs, and dreport run in it.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "quality/labels/thresholds.h"
#include "quality/recordings/recording.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"

namespace echodiff {

constexpr int64_t kSide = 16;

// Rows 0..7 hold the liver, rows 8..11 the portal vein; the sector leaves out the last two columns.
inline GrayImage picture(uint8_t liver, uint8_t vein, uint8_t outside) {
  GrayImage image{kSide, kSide, std::vector<uint8_t>(kSide * kSide, 20)};
  for (int64_t row = 0; row < kSide; ++row) {
    for (int64_t column = 0; column < kSide; ++column) {
      if (row < 12) image.at(row, column) = row < 8 ? liver : vein;
      if (column >= 14) image.at(row, column) = outside;
    }
  }
  return image;
}

class ReportTest : public ::testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string out, err;
  };

  std::string at(const std::string& name) const { return folder_.at(name); }
  void write(const std::string& name, const std::string& text) const {
    make_directories(std::filesystem::path(at(name)).parent_path().string());
    write_file_atomic(at(name), text);
  }

  Outcome dreport(const std::string& arguments) const {
    const std::string command = "cd '" + folder_.string() + "' && '" ECHODIFF_BIN_DIR "/dreport' " + arguments +
                                " --quiet >stdout.txt 2>stderr.txt";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(at("stdout.txt")), read_file(at("stderr.txt"))};
  }

  // Two pictures whose liver is 60 grey levels brighter than the vein.
  void make_data() const {
    write("data/dataset.json",
          R"({"planes": [{"name": "liver", "value": 1}, {"name": "portal_vein", "value": 2}], "sector": true})");
    write("data/index.csv", "file,split\na.png,train\nb.png,train\nc.png,val\n");
    GrayImage mask = picture(1, 2, 0), sector = picture(255, 255, 0);
    for (int64_t row = 12; row < kSide; ++row) {
      for (int64_t column = 0; column < kSide; ++column) {
        mask.at(row, column) = 0;
        sector.at(row, column) = column < 14 ? 255 : 0;
      }
    }
    for (const char* part : {"images", "masks", "sector"}) make_directories(at(std::string("data/") + part));
    for (const char* name : {"a.png", "b.png", "c.png"}) {
      write_png(at(std::string("data/images/") + name), picture(100, 40, 0));
      write_png(at(std::string("data/masks/") + name), mask);
      write_png(at(std::string("data/sector/") + name), sector);
    }
  }

  // Four finished samples: three that follow their mask, one that hardly does; 6 of 255 outside the sector in one.
  void make_unguided(const std::string& name) const {
    make_directories(at(name + "/images"));
    std::string lines;
    for (int i = 0; i < 4; ++i) {
      const std::string file = "00000" + std::to_string(i);
      write_png(at(name + "/images/" + file + ".png"), picture(i == 3 ? 50 : 90, i == 3 ? 40 : 30, i == 0 ? 6 : 0));
      lines += "{\"index\": " + std::to_string(i) + ", \"mask\": \"" + (i % 2 == 0 ? "a" : "b") +
               ".png\", \"seed\": 1, \"unet_calls\": 10, \"decision\": \"finished\", \"reason\": \"\", "
               "\"final_score\": null, \"scores\": []}\n";
    }
    write(name + "/samples.jsonl", lines);
    write(name + "/summary.json",
          R"({"trajectories": 4, "accepted": 4, "unet_calls": 40, "unet_calls_per_accepted": 10, "seconds": 8,
              "images_per_second": 0.5, "policy": "none", "sampler": "ddim", "sample_steps": 10, "size": 16,
              "T": 100})");
  }

  // Two accepted of three, with scores on the way.
  void make_guided(const std::string& name) const {
    make_directories(at(name + "/images"));
    std::string lines;
    for (int i = 0; i < 3; ++i) {
      const bool kept = i < 2;
      if (kept) write_png(at(name + "/images/00000" + std::to_string(i) + ".png"), picture(90, 30, 0));
      lines += "{\"index\": " + std::to_string(i) +
               ", \"mask\": \"a.png\", \"seed\": 1, \"unet_calls\": " + (kept ? "10" : "4") + ", \"decision\": \"" +
               (kept ? "accepted" : "discarded") +
               "\", \"reason\": \"x\", \"final_score\": 0.5, \"scores\": [[99, 0.1], [49, 0.4], [9, 0.97]]}\n";
    }
    write(name + "/samples.jsonl", lines);
    write(name + "/summary.json",
          R"({"trajectories": 3, "accepted": 2, "unet_calls": 24, "unet_calls_per_accepted": 12, "seconds": 6,
              "images_per_second": 0.33, "policy": "paper", "sampler": "ddim", "sample_steps": 10, "tau": 0.95})");
  }

  void make_training(const std::string& name) const {
    write(name + "/config.toml", "timesteps = 100\nimage-size = 16\n");
    write(name + "/log.jsonl",
          "{\"step\": 1, \"loss\": 1.0, \"seconds\": 0.5}\n{\"step\": 2, \"loss\": null}\n{\"step\": 2, \"loss\": 0.5, "
          "\"seconds\": 1.0}\n{\"step\": 2, \"val_loss\": 0.6, \"val_bins\": [0.9, 0.3]}\n{\"step\": 3, \"lo");
  }

  void make_scorer(const std::string& name) const {
    write(name + "/metrics.json",
          R"({"auroc": 0.9, "accuracy": 0.8, "brier": 0.1, "ece": 0.05,
              "counts": {"train_good": 5, "train_good_sampled": 4, "held_out_good": 2},
              "calibration": [{"lo": 0, "hi": 0.5, "n": 4, "mean_score": 0.2, "fraction_good": 0.25},
                              {"lo": 0.5, "hi": 1, "n": 0, "mean_score": null, "fraction_good": null}]})");
  }

  // dtrain value: two looks and the finished picture, one bin of t.
  void make_value(const std::string& name) const {
    write(name + "/metrics.json",
          R"({"on": "x0hat", "architecture": "cnn", "counts": {"test": {"masks": 4, "good": 5, "poor": 6}},
              "auroc_by_time": [
                {"t": 99, "good": 5, "poor": 6, "masks": 4, "auroc": 0.6, "low": 0.5, "high": 0.7,
                 "within_masks": 0.55, "within_low": 0.4, "within_high": 0.7, "within_pairs": 8},
                {"t": 49, "good": 5, "poor": 6, "masks": 4, "auroc": 0.8, "low": null, "high": null,
                 "within_masks": null, "within_low": null, "within_high": null, "within_pairs": 0},
                {"t": -1, "good": 5, "poor": 6, "masks": 4, "auroc": 0.95, "low": 0.9, "high": 1,
                 "within_masks": 0.9, "within_low": 0.8, "within_high": 1, "within_pairs": 8}],
              "calibration_by_time": [
                {"t_low": 50, "t_high": 99, "frames": 11, "fitted_on": 9, "slope": 1, "offset": 0, "brier": 0.2,
                 "ece": 0.04, "reliability": [{"lo": 0, "hi": 0.1, "n": 6, "mean_score": 0.05, "fraction_good": 0.1,
                                               "low": 0, "high": 0.4},
                                              {"lo": 0.9, "hi": 1, "n": 5, "mean_score": 0.9, "fraction_good": 0.8,
                                               "low": null, "high": null}]}]})");
  }

  // Eight labelled trajectories of two masks; the judge knows nothing after the first of two steps, all after the
  // second.
  void make_recording(const std::string& name) const {
    RecordingFacts facts;
    facts.sampler = "ddim";
    facts.schedule = "linear";
    facts.prediction = "eps";
    facts.T = 100;
    facts.size = kSide;
    facts.times = {99, 49};
    facts.next_times = {49, -1};
    facts.judges = {{"clean", ScoreOn::x0hat, "1"}};
    facts.thresholds = Thresholds{};
    facts.planes = {"organ", "sector"};
    facts.masks = {"a.png", "b.png"};
    open_recording(at(name), facts, {zeros({1, 2, kSide, kSide}), full({1, 2, kSide, kSide}, 1)});
    std::vector<Trajectory> trajectories;
    for (int64_t i = 0; i < 8; ++i) {
      Trajectory& trajectory = trajectories.emplace_back();
      trajectory.index = i;
      trajectory.condition = i % 2;
      trajectory.good = i % 4 < 2;
      const float known = *trajectory.good ? 0.95f : 0.05f;
      trajectory.start = {0.5f};
      trajectory.scores = {{0.5f, known, known}};
      trajectory.final = picture(90, 30, 0);
    }
    write_shard(at(name), 0, facts, trajectories, {});
  }

  void make_ceiling(const std::string& file) const {
    write(file, R"({"states": 3, "branches": 4, "steps": 10,
                    "rows": [{"calls": 0, "t": 99, "good": 5, "endings": 12, "lower": 0.5, "upper": 0.8},
                             {"calls": 5, "t": 49, "good": 5, "endings": 12, "lower": null, "upper": null}]})");
  }

  // dlabel evaluate: the first run is `first`, in a folder beside it; the second, plain pictures; neither judged the
  // masks. The second's and the training pictures' texture was measured, the first is of an older version.
  void make_evaluation(const std::string& name, const std::string& first) const {
    const std::string share = R"({"k": 3, "n": 4, "fraction": 0.75, "low": 0, "high": 1})";
    const auto estimate = [](double value) {
      return "{\"value\": " + std::to_string(value) + ", \"low\": " + std::to_string(value - 0.25) +
             ", \"high\": " + std::to_string(value + 0.25) + "}";
    };
    const auto part = [&](double kid) {
      return "\"n\": 4, \"kid\": " + estimate(kid) + ", \"fid\": " + estimate(8) + ", \"precision\": " + share +
             ", \"density\": " + estimate(1) + ", \"recall\": " + share + ", \"coverage\": " + share +
             ", \"outside_energy\": null";
    };
    const auto texture = [&](double value) {
      return ", \"texture\": {\"power_over_real\": [" + estimate(1) + ", null, " + estimate(value) +
             "], \"mean_grey\": " + estimate(60 + value) + ", \"mean_grey_minus_real\": " + estimate(value) +
             ", \"lateral_width\": null, \"radiomic_distance\": " + estimate(9 + value) + "}";
    };
    const auto run = [&](double kid, const std::string& folders, const std::string& difference) {
      return "{" + part(kid) + ", \"samples\": [" + folders + "], \"kid_minus_first\": " + difference +
             ", \"judged_good\": " + share + ", \"copies\": " + share + ", \"median_nearest\": 0.3, " +
             "\"closer_than_held_out\": " + estimate(0.5) + ", \"pairs\": [{\"file\": \"../" + first +
             "/images/000000.png\", \"training\": \"a.png\", \"distance\": 0.125}], \"distinct\": " + share +
             ", \"dice\": null}";
    };
    write(name + "/evaluation.json",
          "{\"kind\": \"evaluation\", \"features\": {\"run\": \"net\", \"count\": 8}, \"judge\": {\"run\": \"other\", "
          "\"tau\": 0.5}, \"data\": \"../data\", \"image_size\": 16, \"k\": 5, \"training\": 2, \"held_out\": 1, "
          "\"copy_distance\": 0.2, \"median_held_out\": 0.3, \"held_out_dice\": {\"mean\": " +
              estimate(0.9) + ", \"classes\": {\"liver\": " + estimate(0.9) +
              "}}, \"dice_refused\": \"vein: held-out Dice 0.100, below 0.6\", \"held_out_judged_good\": " + share +
              ", \"runs\": [" + run(2, "\"../" + first + "\"", "null") + ", " +
              run(3, "\"../plain\"", estimate(1) + texture(0.5)) + "], \"real\": {" + part(0.5) + texture(1) + "}}");
  }

  // Good iff contrast > 24: of the samples above, all but the one with liver 50.
  void make_thresholds() const {
    Thresholds thresholds;
    thresholds.tau_sharpness = 1e9;
    thresholds.tau_noise = 1e9;
    thresholds.tau_contrast = 24;
    thresholds.width = thresholds.height = kSide;
    write_thresholds(at("thresholds.json"), thresholds);
  }

  void make_everything() const {
    make_data();
    make_unguided("unguided");
    make_guided("guided");
    make_training("model");
    make_scorer("scorer");
    make_value("value");
    make_evaluation("measured", "guided");
    make_thresholds();
  }

  ScratchFolder folder_;
};

inline constexpr char kAllRuns[] =
    "--runs model unguided scorer guided value measured --data data --thresholds thresholds.json --out report.html";

// Every tag that opens closes, in order.
inline void expect_balanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t start = html.find('<'); start != std::string::npos; start = html.find('<', start + 1)) {
    const size_t end = html.find('>', start);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = html.substr(start + 1, end - start - 1);
    const std::string name = tag.substr(0, tag.find_first_of(" \n/", 1));
    if (tag[0] == '!' || tag.back() == '/' || name == "meta" || name == "link" || name == "img" || name == "br")
      continue;
    if (tag[0] != '/') {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << tag;
    ASSERT_EQ("/" + open.back(), tag) << html.substr(start > 200 ? start - 200 : 0, 260);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty());
}

inline void expect_self_contained(const std::string& html) {
  EXPECT_LT(html.find("Content-Security-Policy\" content=\"default-src 'none'"), html.find("<style"));
  for (const char* outside : {"http:", "https", "<script", "@import", "url(", "nan", "inf<"}) {
    EXPECT_EQ(html.find(outside), std::string::npos) << outside;
  }
  for (const char* reference : {"href=\"", "src=\""}) {
    const std::string text = reference;
    for (size_t at = html.find(text); at != std::string::npos; at = html.find(text, at + 1)) {
      const std::string target = html.substr(at + text.size(), 5);
      EXPECT_TRUE(target == "data:" || target[0] == '#') << target;
    }
  }
}

}  // namespace echodiff
