// dreport on small made-up runs: its numbers against ones counted by hand, a page that is whole and refers to nothing
// outside, missing pieces that are named, and damaged or absent input that ends with its exit code and one line.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/tools/report_folder.h"
#include "tools/dreport/paper.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

TEST_F(ReportTest, NumbersAsCountedByHand) {
  make_everything();
  const Outcome outcome = dreport(kAllRuns);
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

  EXPECT_EQ(report["verdict"],
            "The judge: 100.0 % of what paper kept is good by the rule, 75.0 % of what was drawn without a judge (not "
            "told apart).");

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

TEST_F(ReportTest, TheFirstScreenAnswers) {
  make_everything();
  ASSERT_EQ(dreport(kAllRuns).code, 0);
  const nlohmann::json answer = nlohmann::json::parse(read_file(at("report.json")))["answer"];
  EXPECT_EQ(answer["tried"],
            "A network trained for 2 steps (1.00 s) drew 7 pictures of 16×16 pixels for 2 masks in 10 steps of ddim; "
            "paper chose among them.");
  EXPECT_EQ(answer["numbers"][0]["number"], "8.33");  // 2 pictures of 24 calls
  EXPECT_EQ(answer["numbers"][1]["number"], "2.00");
  EXPECT_EQ(answer["numbers"][1]["note"], "paper; real training pictures have 0.50");
  EXPECT_EQ(answer["numbers"][2]["number"], "75.0 %");

  const std::string html = read_file(at("report.html")), first = html.substr(0, html.find("<details"));
  for (const char* part :
       {"class=\"tried\"", "KID, distance from real", "class=\"strip\"", "Real pictures of these masks"})
    EXPECT_NE(first.find(part), std::string::npos) << part;

  // Segmenters that learned from real pictures alone, and from accepted samples too, over two seeds.
  const auto segmenter = [&](const std::string& name, const std::string& samples, double liver, double vein) {
    write(name + "/config.toml", samples.empty() ? "steps = 2\n" : "samples = \"" + at(samples) + "\"\n");
    const auto mean = [](double dice) { return "{\"n\": 9, \"mean\": " + std::to_string(dice) + ", \"error\": 0.01}"; };
    write(name + "/metrics.json",
          "{\"dice\": {\"val\": {}, \"test\": {\"liver\": " + mean(liver) + ", \"vein\": " + mean(vein) + "}}}");
  };
  write("guided/config.toml", "policy = \"paper\"\n");
  segmenter("real-1", "", 0.8, 0.4);
  segmenter("real-2", "", 0.8, 0.6);
  segmenter("accepted-1", "guided", 0.9, 0.5);
  segmenter("accepted-2", "guided", 0.9, 0.7);
  const Outcome outcome =
      dreport(std::string(kAllRuns) + " --runs unguided guided real-1 real-2 accepted-1 accepted-2");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json use = nlohmann::json::parse(read_file(at("report.json")))["answer"]["numbers"][2];
  EXPECT_EQ(use["number"], "0.750");
  EXPECT_EQ(use["note"], "with those of guided; 0.650 (0.552–0.748) on real pictures alone");
}

TEST_F(ReportTest, ThePageSaysThatItsPicturesAreUnreviewed) {
  make_everything();
  ASSERT_EQ(dreport(kAllRuns).code, 0);
  EXPECT_EQ(read_file(at("report.html")).find("patients’ names"), std::string::npos);
  std::string described = read_file(at("data/dataset.json"));
  write("data/dataset.json", described.insert(1, "\"reviewed\": false, "));
  ASSERT_EQ(dreport(kAllRuns).code, 0);
  EXPECT_NE(read_file(at("report.html")).find("patients’ names"), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(read_file(at("report.json")))["unreviewed"], true);
}

// The run of make_guided, had it kept nothing.
void keep_nothing(const std::string& run) {
  std::string lines = read_file(run + "/samples.jsonl"), summary = read_file(run + "/summary.json");
  for (size_t found; (found = lines.find("accepted")) != std::string::npos;) lines.replace(found, 8, "discarded");
  write_file_atomic(run + "/samples.jsonl", lines);
  write_file_atomic(run + "/summary.json", summary.replace(summary.find("\"accepted\": 2"), 13, "\"accepted\": 0")
                                               .replace(summary.find("\"unet_calls_per_accepted\": 12"), 29,
                                                        "\"unet_calls_per_accepted\": null"));
  fs::remove_all(run + "/images");
}

TEST_F(ReportTest, APosthocThatKeptNothingIsNoPriceToCompareWith) {
  make_everything();
  make_guided("posthoc");
  keep_nothing(at("posthoc"));
  std::string summary = read_file(at("posthoc/summary.json"));
  write("posthoc/summary.json", summary.replace(summary.find("paper"), 5, "posthoc"));
  const Outcome outcome = dreport(std::string(kAllRuns) + " --runs model unguided posthoc guided");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  // 24 calls for two kept pictures; that they are equal is another number.
  EXPECT_EQ(report["verdict"],
            "The judge: 100.0 % of what paper kept is good by the rule, 75.0 % of what was drawn without a judge (not "
            "told apart); posthoc kept none, and a kept picture cost 12.0 network calls by paper.");
  EXPECT_EQ(report["answer"]["numbers"][0]["number"], "8.33");
  EXPECT_EQ(report["answer"]["numbers"][0]["note"], "paper");
}

TEST_F(ReportTest, TheFirstScreenSaysThatNoJudgeKeptAnything) {
  make_everything();
  keep_nothing(at("guided"));
  const Outcome outcome = dreport(kAllRuns);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json report = nlohmann::json::parse(read_file(at("report.json")));
  EXPECT_EQ(report["verdict"],
            "The judge kept none of 3 pictures; 75.0 % of what was drawn without a judge is good by the rule.");
  EXPECT_EQ(report["answer"]["numbers"][0]["number"], "10.0");  // of the run without a judge
  const std::string html = read_file(at("report.html")), first = html.substr(0, html.find("<details"));
  EXPECT_NE(first.find("class=\"strip\""), std::string::npos);
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
  const Outcome outcome = dreport(std::string(kAllRuns) + " --runs model unguided scorer guided second value measured");
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
  ASSERT_EQ(dreport(kAllRuns).code, 0);
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
  ASSERT_EQ(dreport(kAllRuns).code, 0);
  const std::string html = read_file(at("report.html"));
  expect_balanced(html);
  expect_self_contained(html);
  for (const char* part : {"Fig. 3", "Fig. 4", "Fig. 6", "Fig. 7", "Table 1", "469.87", "69.83", "2,095 (61.5 %)"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(html.find("class=\"missing\""), std::string::npos);
  // The same input gives the same bytes.
  ASSERT_EQ(dreport(kAllRuns).code, 0);
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
  const Outcome outcome = dreport(kAllRuns);
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
  expect_refused("--runs model --watch model", 2, "--watch");
  expect_refused("--out r.html", 2, "--watch");
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
