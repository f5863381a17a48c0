// dsample as a program: the same seed gives the same bytes whatever the batch, the threads, the shards and the fate of
// the other trajectories; and every refusal has its exit code.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "quality/recordings/recording.h"
#include "quality/sampling/exits.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tests/tools/run_program.h"
#include "tests/tools/tiny_experiment.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// One tiny experiment for all tests: phantoms, a diffusion run, a scorer.
class Dsample : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::temp_directory_path() / ("echodiff_dsample_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    ASSERT_NO_FATAL_FAILURE(make_tiny_experiment(dir_.string()));
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  static std::string at(const std::string& name) { return (dir_ / name).string(); }
  static int sample(const std::string& out, const std::string& more) {
    return run("dsample --model " + at("model") + " --masks " + at("data") + " --seed 3 --sample-steps 6 --out " +
               at(out) + " " + more);
  }
  // Picture names and their bytes, of images/ and discarded/.
  static std::map<std::string, std::string> pictures(const std::string& out) {
    std::map<std::string, std::string> found;
    for (const char* folder : {"images", "discarded"})
      if (fs::exists(dir_ / out / folder))
        for (const fs::directory_entry& entry : fs::directory_iterator(dir_ / out / folder))
          found[entry.path().filename().string()] = read_file(entry.path().string());
    return found;
  }

  static fs::path dir_;
};
fs::path Dsample::dir_;

TEST(DsampleHelp, FitsOneScreenAndSaysWhereTheRestIs) {
  const auto lines_of = [](const std::string& flag) {
    FILE* pipe = ::popen((std::string(ECHODIFF_BIN_DIR) + "/dsample " + flag).c_str(), "r");
    std::string text(1 << 20, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), pipe));
    ::pclose(pipe);
    return text;
  };
  const std::string few = lines_of("--help"), all = lines_of("--help-all");
  EXPECT_LE(std::count(few.begin(), few.end(), '\n'), 50);
  for (const char* flag : {"--model RUN", "--masks DIR", "--out DIR", "--policy NAME", "--help-all", "Example:"})
    EXPECT_NE(few.find(flag), std::string::npos) << flag;
  for (const char* flag : {"--tail-steps N", "range: ddpm, ddim, dpmpp, unipc", "--print-config"})
    EXPECT_NE(all.find(flag), std::string::npos) << flag;
}

TEST_F(Dsample, SameBytesWhateverTheBatchAndTheThreads) {
  for (const std::string sampler : {"ddpm", "ddim --eta 1", "dpmpp"}) {
    const std::string common = "--policy none --count 9 --sampler " + sampler;
    ASSERT_EQ(sample("one" + sampler.substr(0, 4), common + " --batch 1 --threads 1"), 0);
    ASSERT_EQ(sample("many" + sampler.substr(0, 4), common + " --batch 8 --threads 2"), 0);
    EXPECT_EQ(pictures("one" + sampler.substr(0, 4)).size(), 9u);
    EXPECT_EQ(pictures("one" + sampler.substr(0, 4)), pictures("many" + sampler.substr(0, 4))) << sampler;
  }
}

TEST_F(Dsample, DeepCacheSaysWhatItsShallowCallsCost) {
  const std::string common = "--policy none --count 5 --sampler ddim --deepcache 2";
  ASSERT_EQ(sample("cached_one", common + " --batch 1"), 0);
  ASSERT_EQ(sample("cached", common + " --batch 4"), 0);
  EXPECT_EQ(pictures("cached_one"), pictures("cached"));
  const nlohmann::json summary = nlohmann::json::parse(read_file(at("cached/summary.json")));
  EXPECT_EQ(summary["deepcache"], 2);
  EXPECT_EQ(summary["unet_calls"], 30);
  EXPECT_EQ(summary["shallow_calls"], 15);
  const double cost = summary["shallow_call_cost"];
  EXPECT_GT(cost, 0);
  EXPECT_NEAR(double(summary["whole_calls_per_accepted"]), (15 + 15 * cost) / 5, 1e-9);
  EXPECT_EQ(sample("x", common + " --guidance 2"), 2);
}

TEST_F(Dsample, AdaDiffFitsItsHeadsAndTakesThem) {
  const std::string ddim = " --sampler ddim", rule = at("exits.json"),
                    fit = "dsample fit-exits --model " + at("model") + " --masks " + at("data") +
                          " --sample-steps 6 --seed 4 --count 10 --batch 4";
  ASSERT_EQ(run(fit + ddim + " --out " + rule), 0);
  EXPECT_EQ(read_exit_rule(rule).steps, 6);
  EXPECT_EQ(read_exit_rule(rule).trajectories, 10);
  const std::string common = "--policy none --count 5" + ddim + " --adadiff " + rule;
  ASSERT_EQ(sample("exits_never", common + " --adadiff-error 0"), 0);
  ASSERT_EQ(sample("exits_free", "--policy none --count 5" + ddim), 0);
  EXPECT_EQ(pictures("exits_never"), pictures("exits_free"));
  ASSERT_EQ(sample("exits_always", common + " --adadiff-error 100 --batch 1"), 0);
  const nlohmann::json summary = nlohmann::json::parse(read_file(at("exits_always/summary.json")));
  EXPECT_EQ(summary["shallow_calls"], 25);
  EXPECT_EQ(summary["adadiff_error"], 100);
  EXPECT_EQ(run(fit + " --sampler ddpm --guidance 2 --out " + rule), 2);
  EXPECT_EQ(sample("x", common + " --deepcache 2"), 2);
  std::string damaged = read_file(rule);
  damaged.replace(damaged.find("\"step\": 2"), 9, "\"step\": 3");
  write_file_atomic(at("damaged.json"), damaged);
  EXPECT_EQ(sample("x", "--policy none --count 5" + ddim + " --adadiff " + at("damaged.json")), 65);
}

TEST_F(Dsample, DeepCacheIsRecordedAndReplayed) {
  const std::string ddim = " --sampler ddim --batch 5 ", cached = ddim + "--deepcache 2 ", rec = at("rec_cached"),
                    rule = at("cached_rule.json");
  const std::string record = "dsample record --model " + at("model") + " --masks " + at("data") +
                             " --seed 3 --sample-steps 6 --count 80 --thresholds " + at("thresholds.json") +
                             " --judge clean=" + at("scorer") + " --out " + rec;
  ASSERT_EQ(run(record + cached), 0);
  EXPECT_EQ(run(record + ddim), 73);  // another experiment
  std::vector<float> scores;
  for (const Trajectory& trajectory : read_recording(rec, false).trajectories)
    scores.push_back(trajectory.scores[0].back());
  std::sort(scores.begin(), scores.end());
  const std::string tau = " --tau " + std::to_string(scores[40]);
  const std::string judged = rec + " --judge clean" + tau, replay = "dsample replay " + judged + " --batch 5";
  ASSERT_EQ(run("dsample fit " + judged + " --looks 0,2 --out " + rule), 0);
  const std::string live = "--scorer " + at("scorer") + " --count 80" + tau;
  for (const std::string& policy : {std::string("posthoc"), "restart --rule " + rule}) {
    const std::string name = "_cached_" + policy.substr(0, 5);
    ASSERT_EQ(sample("live" + name, live + cached + "--policy " + policy), 0) << policy;
    ASSERT_EQ(run(replay + " --out " + at("sim" + name) + " --policy " + policy), 0) << policy;
    EXPECT_EQ(read_file(at("live" + name) + "/samples.jsonl"), read_file(at("sim" + name) + "/samples.jsonl"))
        << policy;
    EXPECT_EQ(pictures("live" + name), pictures("sim" + name)) << policy;
    const nlohmann::json summary = nlohmann::json::parse(read_file(at("sim" + name) + "/summary.json"));
    EXPECT_EQ(summary["deepcache"], 2);
    EXPECT_GT(summary["shallow_calls"], 0);
    EXPECT_GT(double(summary["shallow_call_cost"]), 0);
  }
  EXPECT_EQ(sample("x", live + ddim + "--policy restart --rule " + rule), 2);  // the rule is DeepCache's
}

TEST_F(Dsample, AKeptPictureDoesNotKnowOfDiscardedOnes) {
  ASSERT_EQ(sample("free", "--policy none --sampler ddpm --count 12 --batch 4"), 0);
  const std::map<std::string, std::string> free = pictures("free");
  // tau is a score that some reach and some don't: the paper's rule then drops and keeps, at different steps
  for (const char* policy : {"posthoc --tau 0.5", "random --discard-rate 0.5 --tau 0.01"}) {
    const std::string out = std::string("judged") + policy[0];
    ASSERT_EQ(sample(out, std::string("--sampler ddpm --count 12 --batch 4 --scorer ") + at("scorer") + " --policy " +
                              policy),
              0)
        << policy;
    for (const auto& [name, bytes] : pictures(out)) EXPECT_EQ(bytes, free.at(name)) << policy << " " << name;
  }
}

TEST_F(Dsample, ShardsTogetherAreTheWhole) {
  ASSERT_EQ(sample("whole", "--policy none --sampler ddpm --count 10"), 0);
  std::map<std::string, std::string> together;
  for (const std::string shard : {"0", "1", "2"}) {
    ASSERT_EQ(sample("shard" + shard, "--policy none --sampler ddpm --count 10 --shard " + shard + "/3"), 0);
    together.merge(pictures("shard" + shard));
  }
  EXPECT_EQ(together, pictures("whole"));
}

TEST_F(Dsample, TheFirstMasksAreDrawnFromInTurn) {
  ASSERT_EQ(sample("some", "--policy none --sampler ddim --count 5 --mask-count 2"), 0);
  std::vector<std::string> masks;
  for (const std::string& line : split(read_file(at("some/samples.jsonl")), '\n'))
    if (!line.empty()) masks.push_back(nlohmann::json::parse(line)["mask"]);
  ASSERT_EQ(masks.size(), 5u);
  EXPECT_NE(masks[0], masks[1]);
  for (size_t i = 2; i < masks.size(); ++i) EXPECT_EQ(masks[i], masks[i - 2]);
  EXPECT_EQ(run("dsample --model " + at("model") + " --noise x --mask-count 2 --out " + at("none")), 2);
}

TEST_F(Dsample, SamplesJoinASegmentersTrainingPictures) {
  ASSERT_EQ(sample("of_training_masks", "--policy none --sampler ddim --count 2"), 0);
  ASSERT_EQ(sample("of_all_masks", "--policy none --sampler ddim --count 40"), 0);
  const std::string segmenter =
      "dtrain segmenter --steps 3 --batch 4 --image-size 16 --dim 8 --mults 1,2 --data " + at("data");
  EXPECT_EQ(run(segmenter + " --out " + at("segmenter")), 0);
  EXPECT_EQ(run(segmenter + " --samples " + at("of_training_masks") + " --out " + at("segmenter_of_more")), 0);
  EXPECT_NE(read_file(at("segmenter/log.jsonl")), read_file(at("segmenter_of_more/log.jsonl")));
  EXPECT_EQ(run(segmenter + " --samples " + at("of_all_masks") + " --out " + at("segmenter_of_all")),
            65);  // held-out masks too
  EXPECT_EQ(run(segmenter + " --samples " + at("data/images") + " --out " + at("segmenter_of_none")),
            65);  // drawn from no mask
}

TEST_F(Dsample, RecordsAndGoesOn) {
  const std::string record = "dsample record --model " + at("model") + " --masks " + at("data") +
                             " --seed 3 --sampler ddim --sample-steps 6" +
                             " --per-shard 4 --judge clean=" + at("scorer") + " --judge noisy=" + at("scorer") +
                             ":xt --thresholds " + at("thresholds.json") + " --out " + at("rec");
  ASSERT_EQ(run(record + " --count 4"), 0);
  ASSERT_EQ(run(record + " --count 10"), 0);
  const Recording recording = read_recording(at("rec"), true);
  ASSERT_EQ(recording.trajectories.size(), 10u);
  ASSERT_EQ(sample("recorded", "--policy posthoc --tau 0 --sampler ddim --count 10 --scorer " + at("scorer")), 0);
  for (const Trajectory& trajectory : recording.trajectories)
    EXPECT_EQ(encode_png(trajectory.final),
              pictures("recorded").at("00000" + std::to_string(trajectory.index) + ".png"));
  EXPECT_EQ(run(record + " --count 10 --eta 0.5"), 73);  // another experiment
  EXPECT_EQ(run(record + " --count 10 --policy posthoc"), 2);
  EXPECT_EQ(run(record + " --count 10 --judge bad"), 2);
}

TEST_F(Dsample, ReplayLeavesWhatALiveRunLeaves) {
  const std::string ddim = " --sampler ddim --eta 1 --batch 5 ", rec = at("rec2");
  ASSERT_EQ(run("dsample record --model " + at("model") + " --masks " + at("data") +
                " --seed 3 --sample-steps 6 --count 160" + ddim + "--thresholds " + at("thresholds.json") +
                " --judge clean=" + at("scorer") + " --out " + rec),
            0);
  const Recording recording = read_recording(rec, false);
  std::vector<float> scores;
  for (const Trajectory& trajectory : recording.trajectories) scores.push_back(trajectory.scores[0].back());
  std::sort(scores.begin(), scores.end());
  const std::string tau = " --tau " + std::to_string(scores[80]);
  const std::string judged = rec + " --judge clean" + tau, replay = "dsample replay " + judged + " --batch 5";
  ASSERT_EQ(run("dsample fit " + judged + " --looks 0,2 --out " + at("rule.json")), 0);
  for (const std::string& policy :
       std::vector<std::string>{"posthoc", "restart --rule " + at("rule.json"), "screen --group 2 --accept 9",
                                "halving --group 4 --rungs 0.3,0.6 --accept-per-mask 1", "random",
                                "paper --tail-steps 0 --window 1 --warm-up 0 --delta 0.01"}) {
    const std::string name = policy.substr(0, 5);
    ASSERT_EQ(sample("live" + name, "--scorer " + at("scorer") + " --count 160" + ddim + tau + " --policy " + policy),
              0)
        << policy;
    ASSERT_EQ(run(replay + " --out " + at("sim" + name) + " --policy " + policy), 0) << policy;
    EXPECT_EQ(read_file(at("live" + name) + "/samples.jsonl"), read_file(at("sim" + name) + "/samples.jsonl"))
        << policy;
    EXPECT_EQ(pictures("live" + name), pictures("sim" + name)) << policy;
    EXPECT_FALSE(pictures("live" + name).empty());
    const auto facts = [](const std::string& path) {
      nlohmann::json json = nlohmann::json::parse(read_file(path));
      for (const char* timed :
           {"seconds", "images_per_second", "unet_seconds", "scorer_seconds", "unet_seconds_saved", "judge", "replayed",
            "final_judge", "unet_seconds_per_call_in_a_full_batch", "seconds_saved_per_calls_saved", "tail_steps"})
        json.erase(timed);
      return json;
    };
    EXPECT_EQ(facts(at("live" + name) + "/summary.json"), facts(at("sim" + name) + "/summary.json")) << policy;
  }
  EXPECT_EQ(run(replay + " --policy smc --out " + at("x")), 2);
  EXPECT_EQ(run(replay + " --policy paper --out " + at("x")), 2);  // its tail is not recorded
  EXPECT_EQ(run(replay + " --policy oracle --discard-at 0.34 --out " + at("oracle")), 0);
  EXPECT_EQ(run(replay + " --policy posthoc --final-judge label --out " + at("labelled")), 0);
  EXPECT_EQ(sample("by_file", "--policy posthoc --count 160 --thresholds " + at("thresholds.json") + ddim), 0);
  EXPECT_EQ(pictures("labelled"), pictures("by_file"));
}

TEST_F(Dsample, SummaryAndReportGiveOneIntervalOfACost) {
  const std::string common = "--sampler ddim --eta 1 --count 120 --batch 8 --scorer " + at("scorer") + " --policy ";
  ASSERT_EQ(sample("scored", common + "posthoc --tau 0"), 0);
  std::vector<double> scores;
  std::istringstream lines(read_file(at("scored/samples.jsonl")));
  for (std::string line; std::getline(lines, line);)
    scores.push_back(nlohmann::json::parse(line).at("final_score").get<double>());
  std::sort(scores.begin(), scores.end());
  const std::string tau = " --tau " + std::to_string(scores[60]);
  const std::vector<std::pair<std::string, std::string>> runs{
      {"trajectory", "posthoc"}, {"group", "screen --group 3"}, {"mask", "posthoc --accept-per-mask 2"}};
  std::string folders;
  for (const auto& [unit, policy] : runs) {
    ASSERT_EQ(sample("by_" + unit, common + policy + tau), 0) << policy;
    folders += " " + at("by_" + unit);
  }
  ASSERT_EQ(run("dreport --runs" + folders + " --out " + at("costs.html")), 0);
  const nlohmann::json report = nlohmann::json::parse(read_file(at("costs.json")));
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string& unit = runs[i].first;
    const nlohmann::json summary = nlohmann::json::parse(read_file(at("by_" + unit) + "/summary.json"));
    const nlohmann::json& cost = report["table"].at(i).at("unet_calls_per_accepted");
    EXPECT_EQ(summary["unet_calls_per_accepted_unit"], unit);
    EXPECT_EQ(report["table"].at(i)["unet_calls_per_accepted_unit"], unit);
    EXPECT_EQ(report["comparison"].at(i)["unet_calls_per_accepted_unit"], unit);
    EXPECT_EQ(summary["unet_calls_per_accepted"], cost["value"]) << unit;
    EXPECT_EQ(summary["unet_calls_per_accepted_95"].at(0), cost["low"]) << unit;
    EXPECT_EQ(summary["unet_calls_per_accepted_95"].at(1), cost["high"]) << unit;
    EXPECT_LT(cost["low"].get<double>(), cost["high"].get<double>()) << unit;
  }
  EXPECT_NE(read_file(at("costs.html")).find("by_group; costs by group<"), std::string::npos);
}

TEST_F(Dsample, TheCeilingOfADeterministicSamplerIsKnownFromTheStart) {
  const std::string ceiling = "dsample ceiling --model " + at("model") + " --masks " + at("data") +
                              " --seed 3 --sampler ddim --sample-steps 4" + " --count 3 --branches 4 --thresholds " +
                              at("thresholds.json");
  ASSERT_EQ(run(ceiling + " --branch-after 0,2 --out " + at("ceiling.json")), 0);
  const nlohmann::json json = nlohmann::json::parse(read_file(at("ceiling.json")));
  ASSERT_EQ(json.at("rows").size(), 2u);
  for (const nlohmann::json& row : json.at("rows")) {
    EXPECT_EQ(row.at("endings"), 12);
    EXPECT_EQ(row.at("good").get<int64_t>() % 4, 0);  // all branches of a state end alike
  }
  EXPECT_EQ(json.at("rows")[0].at("t"), 49);
  EXPECT_EQ(json.at("rows")[0].at("good"), json.at("rows")[1].at("good"));
  EXPECT_EQ(run(ceiling + " --branch-after 4 --out " + at("ceiling.json")), 2);
  EXPECT_EQ(run(ceiling + " --branch-after 1 --policy posthoc --out " + at("ceiling.json")), 2);
}

TEST_F(Dsample, EsDdpmBeginsWithPicturesAndSmcRuns) {
  ASSERT_EQ(sample("es", "--policy es-ddpm --start 0.2 --sampler ddim --tau 0 --count 4 --scorer " + at("scorer")), 0);
  const std::string summary = read_file(at("es") + "/summary.json");
  EXPECT_NE(summary.find("\"sample_steps\": 6"), std::string::npos);
  ASSERT_EQ(sample("smc",
                   "--policy smc --group 4 --smc-lambda 1000 --warm-up 0 --count 160 --tau 0 --scorer " + at("scorer")),
            0);
  EXPECT_NE(read_file(at("smc") + "/samples.jsonl").find("\"ancestor\""), std::string::npos);
  EXPECT_EQ(sample("x", "--policy es-ddpm --sampler dpmpp --count 4 --scorer " + at("scorer")), 2);
  EXPECT_EQ(sample("x", "--policy screen --shard 0/2 --count 4 --scorer " + at("scorer")), 2);
  EXPECT_EQ(sample("x", "--policy restart --count 4 --scorer " + at("scorer")), 2);
}

// One version long: what the version before took for these.
TEST_F(Dsample, TheOldFlagsAreTheSubcommands) {
  const std::string model = " --model " + at("model") + " --masks " + at("data") + " --seed 3 --sample-steps 4",
                    labelled = " --sampler ddim --thresholds " + at("thresholds.json"),
                    recorded = model + " --count 80 --judge clean=" + at("scorer") + labelled,
                    judged = " --judge clean --final-judge label --tau 0.5";
  const auto same = [](const std::string& name, const std::string& old_form, const std::string& arguments,
                       const std::string& file = "") {
    EXPECT_EQ(run("dsample " + old_form + " " + at("old_" + name)), 0) << old_form;
    EXPECT_EQ(run("dsample " + name + " " + arguments + " --out " + at("new_" + name)), 0) << name;
    EXPECT_EQ(read_file(at("old_" + name + file)), read_file(at("new_" + name + file))) << name;
  };
  same("record", recorded + " --record", recorded, "/chains-0000.safetensors");
  const std::string rec = at("new_record"), exits = model + " --sampler ddim --count 4",
                    ceiling = model + labelled + " --count 3 --branches 2 --branch-after 0,2";
  same("replay", "--simulate " + rec + judged + " --policy posthoc --out", rec + judged + " --policy posthoc",
       "/samples.jsonl");
  std::vector<float> scores;
  for (const Trajectory& trajectory : read_recording(rec, false).trajectories)
    scores.push_back(trajectory.scores[0].back());
  std::sort(scores.begin(), scores.end());
  const std::string fitted = " --judge clean --looks 0,2 --tau " + std::to_string(scores[40]);
  same("fit", "--simulate=" + rec + fitted + " --fit", rec + fitted);
  same("fit-exits", exits + " --fit-adadiff", exits);
  same("ceiling", ceiling + " --ceiling", ceiling);
  // A config file of a replay, as that version left it.
  write_file_atomic(at("old.toml"), "simulate = \"" + rec +
                                        "\"\njudge = [\"clean\"]\nfinal-judge = \"label\"\ntau = 0.5\n"
                                        "policy = \"posthoc\"\nsampler = \"ddpm\"\nout = \"elsewhere\"\n");
  EXPECT_EQ(run("dsample --config " + at("old.toml") + " --out " + at("from_config")), 0);
  EXPECT_EQ(read_file(at("from_config/samples.jsonl")), read_file(at("new_replay/samples.jsonl")));
  // What a run leaves makes it again.
  EXPECT_EQ(run("dsample replay --config " + at("from_config/config.toml") + " --out " + at("again")), 0);
  EXPECT_EQ(read_file(at("again/samples.jsonl")), read_file(at("new_replay/samples.jsonl")));
  EXPECT_EQ(run("dsample replay " + rec + judged + " --model " + at("model") + " --out " + at("x")), 2);
}

TEST_F(Dsample, RefusesWithTheDocumentedExitCodes) {
  EXPECT_EQ(sample("x", "--policy posthoc --count 2"), 2);  // no --scorer
  EXPECT_EQ(sample("x", "--policy none --count -1"), 2);
  EXPECT_EQ(sample("x", "--policy none --count 2 --device cuda"), 69);
  EXPECT_EQ(sample("x", "--policy posthoc --count 2 --scorer " + at("nothing")), 66);
  EXPECT_EQ(sample("x", "--policy posthoc --count 2 --scorer " + at("model")), 65);
  EXPECT_EQ(
      run("dsample --policy none --count 2 --model " + at("nothing") + " --masks " + at("data") + " --out " + at("x")),
      66);
  ASSERT_EQ(sample("taken", "--policy none --count 1"), 0);
  EXPECT_EQ(sample("taken", "--policy none --count 1 --threads 1"), 0);  // is finished
  EXPECT_EQ(sample("taken", "--policy none --count 2"), 73);
  EXPECT_EQ(sample("data", "--policy none --count 1"), 73);
}

}  // namespace
}  // namespace echodiff
