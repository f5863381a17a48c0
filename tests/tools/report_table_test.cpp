// dreport's table policy by policy, evaluations in it, and what judges know over t.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/tools/report_folder.h"

namespace echodiff {
namespace {

nlohmann::json row_of(const nlohmann::json& report, const std::string& name) {
  for (const nlohmann::json& row : report["table"])
    if (row["name"] == name) return row;
  return {};
}

TEST_F(ReportTest, OneTablePolicyByPolicy) {
  make_everything();
  const Outcome outcome = dreport(kAllRuns);
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
  EXPECT_FALSE(guided.contains("radiomic_distance"));
  EXPECT_EQ(plain["radiomic_distance"]["value"], 9.5);
  EXPECT_EQ(plain["finest_power_over_real"]["value"], 0.5);
  EXPECT_EQ(plain["mean_grey_minus_real"]["low"], 0.25);
  EXPECT_EQ(real["mean_grey"]["value"], 61);
  EXPECT_FALSE(real.contains("lateral_width"));

  const std::string html = read_file(at("report.html"));
  const std::string table = html.substr(html.find("<div id=\"table\">"), 9000);
  EXPECT_NE(table.find("38 to 62 % of its"), std::string::npos) << table;  // 0.75 and 1.25 of a KID of 2
  EXPECT_NE(table.find("<td>–</td>"), std::string::npos);
  EXPECT_NE(table.find("<small>1.00 – 0.500</small>"), std::string::npos) << table;
  EXPECT_NE(table.find("less real 0.500"), std::string::npos) << table;
  EXPECT_EQ(table.find("half<br>width across"), std::string::npos);
  EXPECT_NE(html.find("not asked about samples (vein: held-out Dice 0.100, below 0.6)"), std::string::npos);
  EXPECT_EQ(report["memorisation"].at(0)["distances"], nlohmann::json({0.125}));
  const std::string pairs = html.substr(html.find("<div id=\"memorisation\">"), 4000);
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

TEST_F(ReportTest, ShallowCallsCountAsWhatTheyCost) {
  make_everything();
  const auto replace = [&](const std::string& file, const std::string& from, const std::string& to) {
    std::string text = read_file(at(file));
    for (size_t found = text.find(from); found != std::string::npos; found = text.find(from, found + to.size()))
      text.replace(found, from.size(), to);
    write(file, text);
  };
  replace("guided/samples.jsonl", "\"unet_calls\": 10", "\"unet_calls\": 10, \"shallow_calls\": 5");
  replace("guided/summary.json", "\"seconds\"", "\"shallow_calls\": 10, \"shallow_call_cost\": 0.4, \"seconds\"");
  ASSERT_EQ(dreport(kAllRuns).code, 0);
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  EXPECT_NEAR(row_of(report, "paper, ddim, 10 steps")["unet_calls_per_accepted"]["value"].get<double>(), (24 - 6) / 2.0,
              1e-12);
}

TEST_F(ReportTest, CostsStandBesideTheBaselinesMaskByMask) {
  // Calls of each of ten masks' trajectories; the first of each mask is kept.
  const auto make = [&](const std::string& name, const std::string& policy, int64_t calls, int64_t dropped,
                        const std::string& more) {
    make_directories(at(name + "/images"));
    std::string lines;
    for (int64_t i = 0; i < 10 * (1 + dropped); ++i) {
      const bool kept = i < 10;
      char number[16];
      std::snprintf(number, sizeof number, "%06d", int(i));
      if (kept) write_png(at(name + "/images/" + number + ".png"), picture(uint8_t(60 + i), 30, 0));
      // what is dropped costs more with some masks than with others
      const int64_t own = kept ? calls : calls * (1 + i % 10) / 10;
      lines += concat_message("{\"index\": ", i, ", \"mask\": \"", i % 10, ".png\", \"seed\": 1, \"unet_calls\": ", own,
                              ", \"decision\": \"", kept ? "accepted" : "discarded",
                              "\", \"reason\": \"x\", \"final_score\": 1, \"scores\": []}\n");
    }
    write(name + "/samples.jsonl", lines);
    write(name + "/summary.json",
          concat_message("{\"trajectories\": ", 10 * (1 + dropped),
                         ", \"accepted\": 10, \"unet_calls\": 1, \"seconds\": 6, ", more, "\"policy\": \"", policy,
                         "\", \"sampler\": \"ddim\", \"sample_steps\": 10, \"tau\": 0.95}"));
  };
  make("dear", "posthoc", 400, 2, "");
  write("dear/config.toml", "eta = 1\nmodel = \"a\"\n");
  make("base", "posthoc", 200, 2, "");
  write("base/config.toml", "model = \"b\"\n");
  make("shallow", "posthoc", 100, 2, "\"shallow_calls\": 4, \"shallow_call_cost\": 0.4, ");
  write("shallow/config.toml", "model = \"b\"\ndeepcache = 2\n");
  make("saved", "restart", 100, 1, "");
  make("replayed", "posthoc", 20, 1, "");
  write("replayed/config.toml", "simulate = \"rec\"\n");
  make("twice", "probe", 400, 2, "");
  make("free", "none", 10, 0, "");
  const Outcome outcome = dreport("--runs dear base shallow saved replayed twice free --out report.html");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::map<std::string, nlohmann::json> times;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  for (size_t i = 0; i < 7; ++i) {
    const nlohmann::json& row = report["table"].at(i);
    times[report["comparison"].at(i)["runs"].at(0)] = row.value("times_baseline", nlohmann::json());
  }
  EXPECT_EQ(report["verdict"],
            "The judge: a kept picture cost 420 network calls by posthoc, 155 by restart: looking early saved 63.1 %.");
  EXPECT_TRUE(times.at("base").is_null());
  EXPECT_TRUE(times.at("replayed").is_null());
  EXPECT_TRUE(times.at("free").is_null());
  EXPECT_NEAR(times.at("dear")["value"].get<double>(), 2, 1e-12);
  EXPECT_NEAR(times.at("twice")["low"].get<double>(), 2,
              1e-12);  // twice as dear with each mask: nothing to be unsure of
  EXPECT_NEAR(times.at("twice")["high"].get<double>(), 2, 1e-12);
  EXPECT_NEAR(times.at("shallow")["value"].get<double>(), 0.5, 1e-12);
  EXPECT_NEAR(times.at("saved")["value"].get<double>(), 1550.0 / 4200, 1e-12);
  EXPECT_LT(times.at("saved")["low"].get<double>(), 1550.0 / 4200);
  EXPECT_GT(times.at("saved")["high"].get<double>(), 1550.0 / 4200);
}

// Where only one of two masks ever has a picture, a quarter of the draws has none on either side.
TEST_F(ReportTest, DrawsWithoutAnyPictureTellNoTimes) {
  const auto make = [&](const std::string& name, const std::string& policy, int64_t calls) {
    make_directories(at(name + "/images"));
    write_png(at(name + "/images/000000.png"), picture(60, 30, 0));
    std::string lines;
    for (int64_t i = 0; i < 2; ++i)
      lines += concat_message("{\"index\": ", i, ", \"mask\": \"", i, ".png\", \"seed\": 1, \"unet_calls\": ", calls,
                              ", \"decision\": \"", i == 0 ? "accepted" : "discarded",
                              "\", \"reason\": \"x\", \"final_score\": 1, \"scores\": []}\n");
    write(name + "/samples.jsonl", lines);
    write(name + "/summary.json",
          concat_message("{\"trajectories\": 2, \"accepted\": 1, \"unet_calls\": 1, "
                         "\"seconds\": 6, \"policy\": \"",
                         policy, "\", \"sampler\": \"ddim\", \"sample_steps\": 10, \"tau\": 0.95}"));
  };
  make("base", "posthoc", 20);
  make("other", "probe", 10);
  const Outcome outcome = dreport("--runs base other --out report.html");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json times = nlohmann::json::parse(read_file(at("report.json")))["table"].at(1).at("times_baseline");
  for (const char* key : {"low", "value", "high"}) EXPECT_NEAR(times[key].get<double>(), 0.5, 1e-12) << key;
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
  write("guided/config.toml", "seed = 1\nmodel = \"models/a\"\naccept-per-mask = 5\n[resolved]\nstarts = \"a\"\n");
  write("second/config.toml", "seed = 2\nmodel = \"models/a\"\n");
  ASSERT_EQ(dreport("--runs guided second --out report.html").code, 0);
  nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["comparison"].size(), 2u);
  EXPECT_EQ(report["comparison"][0]["policy"], "paper, ddim, 10 steps, accept-per-mask 5");
  write("second/config.toml",
        "seed = 2\nmodel = \"models/a\"\naccept-per-mask = 5\ncount = 7\n[resolved]\nstarts = \"b\"\n");
  ASSERT_EQ(dreport("--runs guided second --out report.html").code, 0);
  report = nlohmann::json::parse(read_file(at("report.json")));
  ASSERT_EQ(report["comparison"].size(), 1u);
  EXPECT_EQ(report["comparison"][0]["policy"], "paper, ddim, 10 steps");
}

TEST_F(ReportTest, JudgesOverTBesideTheirCeiling) {
  make_everything();
  make_ceiling("ddim.json");
  const Outcome outcome = dreport(std::string(kAllRuns) + " --ceiling ddim.json");
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
  EXPECT_EQ(dreport(std::string(kAllRuns) + " --ceiling nowhere.json").code, 66);
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

}  // namespace
}  // namespace echodiff
