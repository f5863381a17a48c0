// dreport on small made-up runs: its numbers against ones counted by hand, a page that is whole and refers to nothing
// outside, missing pieces that are named, and damaged or absent input that ends with its exit code and one line.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "quality/recording.h"
#include "quality/thresholds.h"
#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"
#include "tools/report/paper.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 16;

struct Outcome {
  int code = -1;
  std::string out, err;
};

// Rows 0..7 hold the liver, rows 8..11 the portal vein; the sector leaves out the last two columns.
GrayImage picture(uint8_t liver, uint8_t vein, uint8_t outside) {
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
  std::string at(const std::string& name) const { return folder_.at(name); }
  void write(const std::string& name, const std::string& text) const {
    make_directories(fs::path(at(name)).parent_path().string());
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
              "images_per_second": 0.5, "policy": "none", "sampler": "ddim", "sample_steps": 10, "size": 16, "T": 100})");
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
    std::vector<Chain> chains;
    for (int64_t i = 0; i < 8; ++i) {
      Chain& chain = chains.emplace_back();
      chain.index = i;
      chain.condition = i % 2;
      chain.good = i % 4 < 2;
      const float known = *chain.good ? 0.95f : 0.05f;
      chain.start = {0.5f};
      chain.scores = {{0.5f, known, known}};
      chain.final = picture(90, 30, 0);
    }
    write_shard(at(name), 0, facts, chains, {});
  }

  void make_ceiling(const std::string& file) const {
    write(file, R"({"states": 3, "branches": 4, "steps": 10,
                    "rows": [{"calls": 0, "t": 99, "good": 5, "endings": 12, "lower": 0.5, "upper": 0.8},
                             {"calls": 5, "t": 49, "good": 5, "endings": 12, "lower": null, "upper": null}]})");
  }

  // dlabel evaluate: the first run is `first`, in a folder beside it; the second, plain pictures; neither judged the
  // masks.
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
              estimate(0.9) + ", \"classes\": {\"liver\": " + estimate(0.9) + "}}, \"held_out_judged_good\": " + share +
              ", \"runs\": [" + run(2, "\"../" + first + "\"", "null") + ", " + run(3, "\"../plain\"", estimate(1)) +
              "], \"real\": {" + part(0.5) + "}}");
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

constexpr char kAll[] =
    "--runs model unguided scorer guided value measured --data data --thresholds thresholds.json --out report.html";

// Every tag that opens closes, in order.
void expect_balanced(const std::string& html) {
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

void expect_self_contained(const std::string& html) {
  for (const char* outside : {"http", "<script", "@import", "url(", "nan", "inf<"}) {
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

TEST_F(ReportTest, NumbersAsCountedByHand) {
  make_everything();
  const Outcome outcome = dreport(kAll);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("adherence: 3 of 4 (75.0 %)"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("outside the sector: mean 1.50 of 255"), std::string::npos) << outcome.out;

  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  const nlohmann::json& adherence = report["adherence"].at(0);
  EXPECT_EQ(adherence["training_difference"], 60);
  EXPECT_EQ(adherence["samples"]["k"], 3);
  EXPECT_EQ(adherence["real"]["k"], 3);
  EXPECT_EQ(adherence["outside_sector_mean"], 1.5);
  EXPECT_EQ(adherence["outside_sector_worst"], 6);

  const nlohmann::json& accounting = report["accounting"];
  EXPECT_EQ(accounting["acceptable"], 3);
  EXPECT_EQ(accounting["poor"], 1);
  EXPECT_EQ(accounting["unet_calls_on_poor"], 10);
  EXPECT_EQ(accounting["seconds_on_poor"], 2);

  ASSERT_EQ(report["policies"].size(), 2u);
  const nlohmann::json& unguided = report["policies"][0];
  const nlohmann::json& guided = report["policies"][1];
  EXPECT_EQ(unguided["policy"], "none");
  EXPECT_EQ(guided["policy"], "paper");
  EXPECT_EQ(guided["unet_calls_per_accepted"], 12);
  EXPECT_EQ(guided["seconds_per_accepted"], 3);
  EXPECT_NEAR(unguided["unet_calls_per_good"].get<double>(), 40.0 / 3, 1e-12);
  EXPECT_EQ(guided["precision"]["fraction"], 1);
  // Wilson at 95 %: of 2 of 2 the lower end is 1 / (1 + 1.96^2 / 2).
  EXPECT_NEAR(guided["precision"]["low"].get<double>(), 0.342380, 1e-5);
  EXPECT_EQ(guided["precision"]["high"], 1);
  EXPECT_NEAR(unguided["precision"]["low"].get<double>(), 0.300642, 1e-5);
  EXPECT_NEAR(unguided["precision"]["high"].get<double>(), 0.954413, 1e-5);
  EXPECT_EQ(guided["above_unguided"], false);

  EXPECT_EQ(report["table1"].size(), 3u);
  EXPECT_EQ(report["diffusion"].at(0)["val_loss"]["last"], 0.6);
  EXPECT_EQ(report["diffusion"].at(0)["val_bins_last"], nlohmann::json({0.9, 0.3}));
  EXPECT_EQ(report["scorer"].at(0)["auroc"], 0.9);
  EXPECT_EQ(report["scores"].at(0)["groups"].at(0)["trajectories"], 2);
  EXPECT_EQ(report["rule"]["tau_contrast"], 24);
}

TEST(PaperArithmetic, FollowsFromItsCounts) {
  EXPECT_EQ(paper::kAcceptable + paper::kPoor, paper::kSampled);
  EXPECT_NEAR(100 * paper::kPoorShare, 61.5, 0.05);
  EXPECT_NEAR(paper::kHoursOnPoor, 69.83, 0.005);
  EXPECT_NEAR(paper::kCallsPerAccepted, 5196, 0.5);
  EXPECT_NEAR(paper::kCallsPerAccepted, 2000 / 0.385, 2);  // the share it prints
  EXPECT_NEAR(paper::kMinutesPerAccepted * 60, 311.8, 0.05);
}

TEST_F(ReportTest, PoliciesArePooledOverSeedsWithIntervals) {
  make_everything();
  make_guided("second");
  std::string summary = read_file(at("second/summary.json"));
  write("second/summary.json", summary.replace(summary.find("{"), 1, "{\"seed\": 2, "));
  write_png(at("second/images/000001.png"), picture(50, 40, 0));  // poor, and unlike the other three kept ones
  const Outcome outcome = dreport(std::string(kAll) + " --runs model unguided scorer guided second value measured");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["comparison"].size(), 2u);
  const nlohmann::json& pooled = report["comparison"][1];
  EXPECT_EQ(pooled["runs"], nlohmann::json({"guided", "second"}));
  EXPECT_EQ(pooled["trajectories"], 6);
  EXPECT_EQ(pooled["accepted"], 4);
  EXPECT_EQ(pooled["distinct"], 2);  // three of the four are equal
  EXPECT_EQ(pooled["unet_calls_per_accepted"]["value"], 24);
  EXPECT_EQ(pooled["unet_calls_per_good"]["value"], 48);
  EXPECT_EQ(pooled["seconds_per_accepted"]["value"], 6);
  EXPECT_EQ(pooled["good_among_accepted"]["k"], 3);
  EXPECT_EQ(pooled["good_among_accepted"]["n"], 4);
  // Of 3 + 3 trajectories drawn anew between all and none are distinct and accepted: 60 / 6 = 10 is the least cost.
  EXPECT_GE(pooled["unet_calls_per_accepted"]["low"], 10);
  EXPECT_LT(pooled["unet_calls_per_accepted"]["low"], 24);
  EXPECT_TRUE(pooled["unet_calls_per_accepted"]["high"].is_null() ||
              pooled["unet_calls_per_accepted"]["high"].get<double>() > 24);

  const nlohmann::json& unguided = report["comparison"][0];
  EXPECT_EQ(unguided["distinct"], 3);
  EXPECT_EQ(report["paper"]["sampled"], 3406);
}

// One row of report.json's table.
nlohmann::json row_of(const nlohmann::json& report, const std::string& name) {
  for (const nlohmann::json& row : report["table"])
    if (row["name"] == name) return row;
  return {};
}

TEST_F(ReportTest, OneTablePolicyByPolicy) {
  make_everything();
  const Outcome outcome = dreport(kAll);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["table"].size(), 4u);
  const nlohmann::json guided = row_of(report, "paper, ddim, 10 steps"), plain = row_of(report, "plain"),
                       unguided = row_of(report, "no judge, ddim, 10 steps"), real = row_of(report, "real pictures");
  EXPECT_EQ(guided["unet_calls_per_accepted"]["value"], 12);  // 24 calls for two equal pictures
  EXPECT_EQ(guided["unet_calls_per_distinct"]["value"], 24);
  EXPECT_EQ(guided["seconds_per_accepted"]["value"], 3);
  EXPECT_EQ(guided["seconds_per_distinct"]["value"], 6);
  EXPECT_EQ(guided["masks_reached"]["k"], 1);
  EXPECT_EQ(guided["kid"]["value"], 2);
  EXPECT_EQ(guided["judged_good"]["k"], 3);
  EXPECT_NEAR(guided["judged_good"]["low"].get<double>(), 0.300642, 1e-5);  // Wilson's, of 3 of 4
  EXPECT_FALSE(guided.contains("kid_minus_first"));
  EXPECT_FALSE(guided.contains("dice"));
  EXPECT_EQ(plain["kid_minus_first"]["value"], 1);
  EXPECT_FALSE(plain.contains("unet_calls_per_accepted"));
  EXPECT_EQ(unguided["unet_calls_per_accepted"]["value"], 10);
  EXPECT_FALSE(unguided.contains("kid"));
  EXPECT_EQ(real["kid"]["value"], 0.5);
  EXPECT_EQ(real["dice"]["value"], 0.9);
  EXPECT_FALSE(real.contains("copies"));

  const std::string html = read_file(at("report.html"));
  const std::string table = html.substr(html.find("<section id=\"table\">"), 9000);
  EXPECT_NE(table.find("38 to 62 % of its"), std::string::npos) << table;  // 0.75 and 1.25 of a KID of 2
  EXPECT_NE(table.find("<td>–</td>"), std::string::npos);
  EXPECT_EQ(report["memorisation"].at(0)["distances"], nlohmann::json({0.125}));
  const std::string pairs = html.substr(html.find("<section id=\"memorisation\">"), 4000);
  EXPECT_NE(pairs.find("class=\"no\">copy"), std::string::npos);
}

TEST_F(ReportTest, WhatIsNotMeasuredHasNoColumn) {
  make_everything();
  ASSERT_EQ(dreport("--runs guided --thresholds thresholds.json --out report.html").code, 0);
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  EXPECT_EQ(html.find("<th scope=\"col\">KID"), std::string::npos);
  EXPECT_NE(html.find("No evaluation.json says"), std::string::npos);
  EXPECT_NE(html.find("No judge was measured by t."), std::string::npos);
}

TEST_F(ReportTest, AnEvaluationOfSomeSeedsSaysSo) {
  make_everything();
  make_guided("second");
  ASSERT_EQ(dreport("--runs guided second measured --data data --thresholds thresholds.json --out report.html").code,
            0);
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  EXPECT_EQ(row_of(report, "paper, ddim, 10 steps")["kid"]["value"], 2);
  EXPECT_NE(read_file(at("report.html")).find("4 pictures measured of 1 of the 2 runs"), std::string::npos);
}

TEST_F(ReportTest, RunsThatDifferInMoreThanTheSeedAreApart) {
  make_everything();
  make_guided("second");
  write("guided/config.toml", "seed = 1\nmodel = \"models/a\"\naccept-per-mask = 5\n");
  write("second/config.toml", "seed = 2\nmodel = \"models/a\"\n");
  ASSERT_EQ(dreport("--runs guided second --out report.html").code, 0);
  nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["comparison"].size(), 2u);
  EXPECT_EQ(report["comparison"][0]["policy"], "paper, ddim, 10 steps, accept-per-mask 5");
  write("second/config.toml", "seed = 2\nmodel = \"models/a\"\naccept-per-mask = 5\ncount = 7\n");
  ASSERT_EQ(dreport("--runs guided second --out report.html").code, 0);
  report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["comparison"].size(), 1u);
  EXPECT_EQ(report["comparison"][0]["policy"], "paper, ddim, 10 steps");
}

TEST_F(ReportTest, JudgesOverTBesideTheirCeiling) {
  make_everything();
  make_ceiling("ddim.json");
  const Outcome outcome = dreport(std::string(kAll) + " --ceiling ddim.json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  const nlohmann::json& judge = report["auroc_over_t"].at(0);
  EXPECT_EQ(judge["judge"], "value");
  ASSERT_EQ(judge["rows"].size(), 3u);
  EXPECT_EQ(judge["rows"][0]["all"]["high"], 0.7);
  EXPECT_EQ(judge["rows"][2]["t"], -1);
  EXPECT_EQ(judge["rows"][2]["within_masks"]["low"], 0.8);
  EXPECT_TRUE(judge["rows"][1]["within_masks"]["value"].is_null());
  EXPECT_EQ(judge["calibration"].at(0)["ece"], 0.04);
  EXPECT_EQ(report["ceilings"].at(0)["looks"].at(0)["upper"], 0.8);
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  expect_self_contained(html);
  EXPECT_NE(html.find("ddim, upper bound (10 steps)"), std::string::npos);
  EXPECT_NE(html.find("t 50–99, 11 pictures"), std::string::npos);
  EXPECT_EQ(dreport(std::string(kAll) + " --ceiling nowhere.json").code, 66);
}

TEST_F(ReportTest, EveryJudgeOfARecordingIsMeasuredOverT) {
  make_recording("rec");
  const Outcome outcome = dreport("--runs rec --out report.html");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  const nlohmann::json& judge = report["auroc_over_t"].at(0);
  EXPECT_EQ(judge["judge"], "clean");
  ASSERT_EQ(judge["rows"].size(), 4u);
  const std::vector<std::pair<int, double>> expected = {{100, 0.5}, {99, 0.5}, {49, 1}, {-1, 1}};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(judge["rows"][i]["t"], expected[i].first);
    EXPECT_EQ(judge["rows"][i]["all"]["value"], expected[i].second);
    EXPECT_EQ(judge["rows"][i]["within_masks"]["value"], expected[i].second);
    EXPECT_EQ(judge["rows"][i]["good"], 4);
  }
  const nlohmann::json& spans = judge["calibration"];
  ASSERT_EQ(spans.size(), 3u);  // t 40..59, 80..99, finished
  EXPECT_EQ(spans[0]["t_low"], 40);
  EXPECT_EQ(spans[1]["frames"], 8);  // x_T is none of them
  EXPECT_NEAR(spans[2]["ece"].get<double>(), 0.05, 1e-6);
  expect_balanced(read_file(at("report.html")));
}

TEST_F(ReportTest, DecisionsAndGalleriesCountWhatHappened) {
  make_everything();
  make_directories(at("guided/discarded"));
  write_png(at("guided/discarded/000002.png"), picture(90, 30, 0));  // good by the rule: wrongly discarded
  write_png(at("guided/images/000001.png"), picture(50, 40, 0));     // poor: wrongly accepted
  std::string lines = read_file(at("guided/samples.jsonl"));
  const std::string from = "\"decision\": \"discarded\", ";
  write("guided/samples.jsonl", lines.replace(lines.find(from), from.size(), from + "\"halted_t\": 49, "));
  std::string summary = read_file(at("guided/summary.json"));
  write("guided/summary.json", summary.replace(summary.find("{"), 1, "{\"T\": 96, "));
  ASSERT_EQ(dreport(kAll).code, 0);
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  const nlohmann::json& reasons = report["decisions"].at(0)["reasons"];
  ASSERT_EQ(reasons.size(), 2u);
  EXPECT_EQ(reasons[0]["reason"], "accepted: x");
  EXPECT_EQ(reasons[0]["trajectories"], 2);
  EXPECT_EQ(reasons[0]["before_the_end"], 0);
  EXPECT_EQ(reasons[1]["before_the_end"], 1);
  EXPECT_EQ(reasons[1]["by_t"].at(11), 1);  // 24 bins of four from t = 95: t = 51..48 is the twelfth
  const nlohmann::json& gallery = report["galleries"].at(0);
  EXPECT_EQ(gallery["accepted_but_poor"], 1);
  EXPECT_EQ(gallery["discarded_but_good"], 1);
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  expect_self_contained(html);
  EXPECT_NE(html.find("Discarded, but good"), std::string::npos);
}

TEST_F(ReportTest, PageIsWholeAndSelfContained) {
  make_everything();
  make_directories(at("guided/discarded"));
  write_png(at("guided/discarded/000002.png"), picture(50, 40, 0));
  ASSERT_EQ(dreport(kAll).code, 0);
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  expect_self_contained(html);
  for (const char* part : {"Fig. 3", "Fig. 4", "Fig. 6", "Fig. 7", "Table 1", "469.87", "69.83", "2,095 (61.5 %)"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(html.find("class=\"missing\""), std::string::npos);
  // The same input gives the same bytes.
  ASSERT_EQ(dreport(kAll).code, 0);
  EXPECT_EQ(read_file(at("report.html")), html);
}

TEST_F(ReportTest, MissingPiecesAreNamedAndNamesAreEscaped) {
  make_training("a<b>&\"c");
  const Outcome outcome = dreport("--runs 'a<b>&\"c' --out report.html");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  expect_self_contained(html);
  EXPECT_NE(html.find("a&lt;b&gt;&amp;&quot;c"), std::string::npos);
  EXPECT_NE(html.find("There is no scorer run."), std::string::npos);
  EXPECT_NE(html.find("There are no samples."), std::string::npos);
  EXPECT_TRUE(nlohmann::json::accept(read_file(at("report.json"))));

  // A folder of runs stands for them; every single kind alone makes a page too.
  make_everything();
  for (const char* runs : {"unguided", "guided", "scorer", "value", "measured", "data", "."}) {
    EXPECT_EQ(dreport("--out page.html --runs " + std::string(runs)).code, 0)
        << runs << ": " << read_file(at("stderr.txt"));
    expect_balanced(read_file(at("page.html")));
  }
}

TEST_F(ReportTest, MasksComeFromTheFolderTheRunNames) {
  make_everything();
  // The masks the run names have no vein, so no sample can be compared; those of --data have one.
  fs::copy(at("data"), at("unseen"), fs::copy_options::recursive);
  write("unguided/config.toml", "masks = \"" + at("unseen") + "\"\n");
  for (const char* name : {"a.png", "b.png"}) {
    GrayImage mask{kSide, kSide, std::vector<uint8_t>(kSide * kSide, 1)};
    write_png(at("unseen/masks/" + std::string(name)), mask);
  }
  const Outcome outcome = dreport(kAll);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  EXPECT_EQ(report["adherence"].at(0)["compared"], 4);
  EXPECT_EQ(report["adherence"].at(0)["samples"]["n"], 0);
}

TEST_F(ReportTest, WrongInputEndsWithOneLineAndItsCode) {
  make_everything();
  const auto expect_refused = [&](const std::string& arguments, int code, const std::string& says) {
    const Outcome outcome = dreport(arguments);
    EXPECT_EQ(outcome.code, code) << arguments << ": " << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(says), std::string::npos) << outcome.err;
  };
  expect_refused("--runs nowhere --out r.html", 66, "nowhere");
  expect_refused("--runs unguided --data nowhere --out r.html", 66, "nowhere");
  expect_refused("--runs unguided --thresholds nowhere --out r.html", 66, "nowhere");
  expect_refused("--runs unguided --out r.json", 2, "--out");
  make_directories(at("empty"));
  expect_refused("--runs empty --out r.html", 65, "empty");
  expect_refused("--runs model --out no/such/folder/r.html", 73, "no/such/folder");

  const std::string lines = read_file(at("unguided/samples.jsonl"));
  const size_t second = lines.find('\n') + 1;
  write("unguided/samples.jsonl", lines.substr(0, second + 20));
  expect_refused("--runs unguided --out r.html", 65, "samples.jsonl:2");
  write("unguided/samples.jsonl", lines + lines.substr(0, second));
  expect_refused("--runs unguided --out r.html", 65, "samples.jsonl:5");
  write("unguided/samples.jsonl", std::string(5000, '[') + "\n");
  expect_refused("--runs unguided --out r.html", 65, "samples.jsonl:1");
  write("unguided/samples.jsonl", lines);
  fs::remove(at("unguided/images/000001.png"));
  expect_refused("--runs unguided --out r.html", 65, "000001.png");
  write("scorer/metrics.json", "{\"auroc\": \"high\"}");
  expect_refused("--runs scorer --out r.html", 65, "auroc");
  write("model/log.jsonl", "{\"step\": -1, \"loss\": 1}\n");
  expect_refused("--runs model --out r.html", 65, "log.jsonl:1");
  EXPECT_FALSE(fs::exists(at("r.html")));

  write("value/metrics.json", "{\"auroc_by_time\": [{\"t\": 0.5}]}");
  expect_refused("--runs value --out r.html", 65, "\"t\"");
  const std::string measured = read_file(at("measured/evaluation.json"));
  write("measured/evaluation.json", "{\"kind\": \"labels\"}");
  expect_refused("--runs measured --out r.html", 65, "evaluation.json: key \"kind\"");
  std::string damaged = measured;
  write("measured/evaluation.json", damaged.replace(damaged.find("\"k\": 3"), 6, "\"k\": 5"));
  expect_refused("--runs measured --out r.html", 65, "evaluation.json");

  Thresholds other;
  other.width = other.height = 64;
  write_thresholds(at("thresholds.json"), other);
  expect_refused("--runs guided --thresholds thresholds.json --out r.html", 65, "64");
}

}  // namespace
}  // namespace echodiff
