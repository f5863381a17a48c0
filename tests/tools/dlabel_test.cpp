// dlabel evaluate and attack as programs: what they write, and that copies of the training set show as copies.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "quality/labels/labels.h"
#include "tensor/io/file.h"
#include "tensor/io/lock.h"
#include "tensor/io/png.h"
#include "tests/tools/run_program.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// Phantoms with a test split, a scorer of them, two folders of "samples": training pictures, and other phantoms.
class Dlabel : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    dir_ = fs::temp_directory_path() / ("echodiff_dlabel_" + std::to_string(::getpid()));
    fs::remove_all(dir_);
    fs::create_directories(dir_ / "copies");
    ASSERT_EQ(run("dphantom --count 150 --size 32 --seed 1 --out " + at("data")), 0);
    ASSERT_EQ(run("dphantom --count 30 --size 32 --seed 2 --out " + at("others")), 0);
    ASSERT_EQ(run("dlabel calibrate --images " + at("data") + " --out " + at("thresholds.json")), 0);
    ASSERT_EQ(run("dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") + " --out " +
                  at("labels.jsonl")),
              0);
    ASSERT_EQ(run("dtrain scorer --width 4 --epochs 1 --per-class 20 --labels " + at("labels.jsonl") + " --fill " +
                  at("data") + " --out " + at("scorer")),
              0);
    for (int64_t i = 0; i < 30; ++i) {
      const std::string digits = std::to_string(i),
                        name = "0000" + std::string(digits.size() < 2 ? "0" : "") + digits + ".png";
      fs::copy(dir_ / "data/images" / name, dir_ / "copies" / name);
    }
  }
  static void TearDownTestSuite() { fs::remove_all(dir_); }

  static std::string at(const std::string& name) { return (dir_ / name).string(); }
  static fs::path dir_;
};
fs::path Dlabel::dir_;

TEST_F(Dlabel, OneWriterAtATimeAndDecisionsStay) {
  fs::copy_file(at("labels.jsonl"), at("decided.jsonl"));
  const std::string score = "dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") +
                            " --out " + at("decided.jsonl"),
                    apply = "dlabel apply " + at("decided.jsonl") + " " + at("decisions.json"),
                    attack =
                        "dlabel attack --count 2 --image-size 32 --images " + at("data") + " --out " + at("attacks");
  write_file_atomic(
      at("decisions.json"),
      R"({"kind": "decisions", "source": "person", "decisions": [{"file": "data/images/000000.png", "label": ")" +
          std::string(read_label_file(at("labels.jsonl")).images[0].good ? "poor" : "good") + "\"}]}");
  {
    const FileLock labels(at("decided.jsonl"));
    const FolderLock attacks(at("attacks"));
    EXPECT_EQ(run(score), 75);
    EXPECT_EQ(run(apply), 75);
    EXPECT_EQ(run(attack), 75);
  }
  EXPECT_EQ(run(attack), 0);
  ASSERT_EQ(run(apply), 0);
  const std::string decided = read_file(at("decided.jsonl"));
  EXPECT_NE(decided, read_file(at("labels.jsonl")));
  ASSERT_EQ(run(score), 0);
  EXPECT_EQ(read_file(at("decided.jsonl")), decided);
  EXPECT_EQ(run("dlabel score --images " + at("others") + " --thresholds " + at("thresholds.json") + " --out " +
                at("decided.jsonl")),
            73);
  EXPECT_EQ(run("dlabel balance " + at("decided.jsonl") + " --out " + at("decided.jsonl")), 73);
  EXPECT_EQ(read_file(at("decided.jsonl")), decided);
}

TEST_F(Dlabel, EvaluateTellsCopiesFromNewPictures) {
  ASSERT_EQ(run("dlabel evaluate --samples " + at("copies") + " " + at("others") + " --data " + at("data") +
                " --features " + at("scorer") + " --out " + at("evaluation.json")),
            0);
  const nlohmann::json json = nlohmann::json::parse(read_file(at("evaluation.json")));
  EXPECT_EQ(json["kind"], "evaluation");
  ASSERT_EQ(json["runs"].size(), 2u);
  const nlohmann::json &copies = json["runs"][0], &others = json["runs"][1];
  EXPECT_EQ(copies["n"], 30);
  // All but those that the split holds out are copies; a picture is at distance 0 from itself.
  EXPECT_GE(copies["copies"]["k"].get<int64_t>(), 20);
  EXPECT_LT(copies["pairs"][0]["distance"].get<double>(), 1e-6);
  const std::string file = copies["pairs"][0]["file"], training = copies["pairs"][0]["training"];
  EXPECT_EQ(fs::path(file).filename(), training);
  EXPECT_LE(others["copies"]["k"].get<int64_t>(), 3);
  EXPECT_GE(copies["copied_detail"]["k"].get<int64_t>(), 20);
  EXPECT_LE(others["copied_detail"]["k"].get<int64_t>(), 3);
  EXPECT_EQ(json["held_out_copied_detail"]["n"], json["held_out"]);
  EXPECT_EQ(json["held_out_copied_detail"]["k"], 0);
  EXPECT_GE(others["distinct"]["k"].get<int64_t>(), 27);
  for (const nlohmann::json& part : {copies, others, json["real"]}) {
    for (const char* key : {"kid", "fid", "density"}) {
      EXPECT_LE(part[key]["low"], part[key]["value"]) << key;
      EXPECT_LE(part[key]["value"], part[key]["high"]) << key;
    }
    for (const char* key : {"precision", "recall", "coverage"}) EXPECT_LE(part[key]["k"], part[key]["n"]) << key;
  }
  EXPECT_EQ(others["outside_energy"]["value"], 0);
  EXPECT_EQ(json["real"]["outside_energy"]["value"], 0);
  EXPECT_TRUE(copies["outside_energy"].is_null());  // a plain folder: no sectors
  for (const nlohmann::json& part : {copies, others, json["real"]}) {
    ASSERT_EQ(part["texture"]["power_over_real"].size(), 8u);
    for (const nlohmann::json& band : part["texture"]["power_over_real"]) {
      EXPECT_LE(band["low"], band["value"]);
      EXPECT_LE(band["value"], band["high"]);
    }
  }
  for (const char* key : {"mean_grey", "signal_to_noise", "lateral_width", "axial_width"}) {
    EXPECT_TRUE(copies["texture"][key].is_null()) << key;  // no sectors, where the data have some
    const double value = others["texture"][key]["value"], real = json["held_out_texture"][key]["value"];
    EXPECT_NEAR(others["texture"][std::string(key) + "_minus_real"]["value"], value - real, 1e-9) << key;
    EXPECT_NEAR(value / real, 1, 0.3) << key;
  }
  EXPECT_TRUE(copies["texture"]["radiomic_distance"].is_null());
  EXPECT_GT(others["texture"]["radiomic_distance"]["value"].get<double>(), 0);
  EXPECT_EQ(json["held_out_texture"]["power"].size(), 8u);
  EXPECT_TRUE(json["held_out_texture"]["radiomic_distance"].is_null());
  EXPECT_TRUE(copies["kid_minus_first"].is_null());
  EXPECT_NEAR(others["kid_minus_first"]["value"].get<double>(),
              others["kid"]["value"].get<double>() - copies["kid"]["value"].get<double>(), 1e-9);
  EXPECT_EQ(copies["samples"], nlohmann::json({"copies"}));
  EXPECT_GT(copies["closer_than_held_out"]["low"].get<double>(), others["closer_than_held_out"]["high"].get<double>());
  EXPECT_TRUE(copies["judged_good"].is_null());
  EXPECT_EQ(run("dlabel evaluate --samples " + at("nothing") + " --data " + at("data") + " --features " + at("scorer") +
                " --out " + at("no.json")),
            66);
}

TEST_F(Dlabel, EvaluateTakesSeedsAsOneRunAndAsksAnotherJudge) {
  const std::string rest = " --data " + at("data") + " --features " + at("scorer") + " --judge " + at("scorer") +
                           " --out " + at("more/evaluation.json");
  fs::create_directories(at("more"));
  ASSERT_EQ(run("dlabel evaluate --tau 0 --count 50 --samples " + at("copies") + "," + at("others") + rest), 0);
  nlohmann::json json = nlohmann::json::parse(read_file(at("more/evaluation.json")));
  ASSERT_EQ(json["runs"].size(), 1u);
  const nlohmann::json& pooled = json["runs"][0];
  EXPECT_EQ(pooled["samples"], nlohmann::json({"../copies", "../others"}));
  EXPECT_EQ(pooled["n"], 50);
  EXPECT_EQ(json["real"]["n"], 50);
  EXPECT_EQ(pooled["judged_good"]["k"], 50);  // tau 0: all
  EXPECT_EQ(json["held_out_judged_good"]["k"], json["held_out"]);
  EXPECT_TRUE(fs::exists(fs::path(at("more")) / pooled["pairs"][0]["file"].get<std::string>()));
  ASSERT_EQ(run("dlabel evaluate --tau 1 --samples " + at("others") + rest), 0);
  json = nlohmann::json::parse(read_file(at("more/evaluation.json")));
  EXPECT_EQ(json["runs"][0]["judged_good"]["k"], 0);
  EXPECT_EQ(json["runs"][0]["judged_good"]["n"], 30);
  EXPECT_EQ(run("dlabel evaluate --count 31 --samples " + at("others") + rest), 65);  // it has 30
}

TEST_F(Dlabel, EvaluateWantsTheMasksThatSamplesWereDrawnFor) {
  write_file_atomic(at("copies/config.toml"), "masks = \"" + at("others") + "\"\n");
  const std::string command = "dlabel evaluate --samples " + at("copies") + " --data " + at("data") + " --features " +
                              at("scorer") + " --out " + at("masks.json");
  EXPECT_EQ(run(command), 65);
  EXPECT_EQ(run(command + " --masks " + at("others")), 0);
  fs::remove(at("copies/config.toml"));
}

// Black bars above and below a wide picture are no part of it.
TEST_F(Dlabel, EvaluateMeasuresWhatThePictureFillsOfItsSquare) {
  fs::create_directories(at("wide/images"));
  fs::create_directories(at("squares/images"));
  std::string index = "file,split,group\n", lines;
  for (int i = 0; i < 40; ++i) {
    const std::string name = std::to_string(1000000 + i).substr(1) + ".png";
    write_png(at("wide/images/" + name), {32, 16, std::vector<uint8_t>(32 * 16, uint8_t(100 + i % 2))});
    index += name + (i < 20 ? ",train," : ",test,") + name + "\n";
    GrayImage square{32, 32, std::vector<uint8_t>(32 * 32, 0)};
    std::fill(square.pixels.begin() + 8 * 32, square.pixels.begin() + 24 * 32, uint8_t(150));
    write_png(at("squares/images/" + name), square);
    lines += "{\"index\": " + std::to_string(i) + ", \"mask\": \"" + name + "\"}\n";
  }
  write_file_atomic(at("wide/index.csv"), index);
  write_file_atomic(at("squares/samples.jsonl"), lines);
  write_file_atomic(at("squares/config.toml"), "model = \"gone\"\n[resolved]\nfit = \"pad\"\n");
  ASSERT_EQ(run("dlabel evaluate --samples " + at("squares") + " --data " + at("wide") + " --features " + at("scorer") +
                " --out " + at("wide.json")),
            0);
  const nlohmann::json json = nlohmann::json::parse(read_file(at("wide.json")));
  EXPECT_NEAR(json["held_out_texture"]["mean_grey"]["value"].get<double>(), 100.5, 1e-9);
  EXPECT_NEAR(json["runs"][0]["texture"]["mean_grey"]["value"].get<double>(), 150, 1e-9);
  EXPECT_NEAR(json["runs"][0]["texture"]["mean_grey_minus_real"]["value"].get<double>(), 49.5, 1e-9);
}

TEST_F(Dlabel, EvaluateHoldsOutWhatTheModelOfTheSamplesHeldOut) {
  ASSERT_EQ(run("dtrain diffusion --steps 1 --batch 1 --image-size 32 --timesteps 10 --dim 8 --mults 1,2 --data " +
                at("data") + " --sample-every 0 --out " + at("held")),
            0);
  std::string lists = "file,split,group\n";
  for (int i = 0; i < 150; ++i) {
    const std::string number = std::to_string(1000000 + i).substr(1);
    lists += number + ".png," + (i < 100 ? "train," : "test,") + number + "\n";
  }
  write_file_atomic(at("held/split.csv"), lists);
  const std::string command = "dlabel evaluate --samples " + at("copies") + " --data " + at("data") + " --features " +
                              at("scorer") + " --out " + at("held.json");
  const auto held_out = [&](const std::string& more) {
    EXPECT_EQ(run(command + more), 0);
    return nlohmann::json::parse(read_file(at("held.json")))["held_out"].get<int64_t>();
  };
  EXPECT_EQ(held_out(" --run " + at("held")), 50);
  write_file_atomic(at("copies/config.toml"), "model = \"" + at("held") + "\"\n");
  EXPECT_EQ(held_out(""), 50);
  fs::remove(at("copies/config.toml"));
}

TEST_F(Dlabel, EvaluateFindsTheSegmentersClassesByName) {
  ASSERT_EQ(run("dphantom --count 40 --size 16 --seed 1 --out " + at("small")), 0);
  ASSERT_EQ(run("dtrain segmenter --steps 40 --lr 0.01 --batch 8 --image-size 16 --dim 8 --mults 1,2 --data " +
                at("small") + " --out " + at("segmenter")),
            0);
  fs::copy(at("small"), at("swapped"), fs::copy_options::recursive);
  write_file_atomic(at("swapped/dataset.json"), R"({"planes": [{"name": "portal_vein", "value": 2},
      {"name": "liver", "value": 1}], "sector": true})");
  const auto evaluation_of = [&](const std::string& data, const std::string& more) {
    EXPECT_EQ(
        run("dlabel evaluate --neighbours 1 --image-size 16 --samples " + at("small") + " --data " + at(data) +
            " --features " + at("scorer") + " --segmenter " + at("segmenter") + " --out " + at("dice.json") + more),
        0);
    return nlohmann::json::parse(read_file(at("dice.json")));
  };
  const auto dice_on = [&](const std::string& data) { return evaluation_of(data, "")["held_out_dice"]; };
  // A segmenter that doesn't find every class in held-out pictures says nothing of samples.
  const nlohmann::json refused = evaluation_of("small", " --least-dice 1"),
                       asked = evaluation_of("small", " --least-dice 0");
  EXPECT_TRUE(refused["runs"][0]["dice"].is_null());
  EXPECT_EQ(refused["least_dice"], 1);
  EXPECT_NE(refused["dice_refused"].get<std::string>().find("portal_vein: held-out Dice 0."), std::string::npos);
  EXPECT_EQ(refused["held_out_dice"], asked["held_out_dice"]);
  EXPECT_TRUE(asked["dice_refused"].is_null());
  EXPECT_TRUE(asked["runs"][0]["dice"]["classes"].contains("liver"));
  const nlohmann::json dice = dice_on("small");
  EXPECT_TRUE(dice.dump().find("liver") != std::string::npos) << dice;
  EXPECT_EQ(dice_on("swapped"), dice);
  write_file_atomic(at("swapped/dataset.json"), R"({"planes": [{"name": "vein", "value": 2},
      {"name": "liver", "value": 1}], "sector": true})");
  EXPECT_EQ(run("dlabel evaluate --neighbours 1 --image-size 16 --samples " + at("small") + " --data " + at("swapped") +
                " --features " + at("scorer") + " --segmenter " + at("segmenter") + " --out " + at("dice.json")),
            65);
}

TEST_F(Dlabel, AttackWritesADataSetFolder) {
  ASSERT_EQ(run("dlabel attack --images " + at("data") + " --out " + at("attacks") +
                " --count 3 --image-size 32 --scorer " + at("scorer")),
            0);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "attacks/images"), fs::directory_iterator()), 30);
  EXPECT_EQ(run("dlabel score --images " + at("attacks") + " --thresholds " + at("thresholds.json") + " --out " +
                at("attacks.jsonl")),
            0);
  EXPECT_NE(read_file(at("attacks.jsonl")).find("near_copy"), std::string::npos);
}

TEST_F(Dlabel, AttackAsksAboutTheSamplesThatTheRuleCallsGood) {
  ASSERT_EQ(run("dlabel score --images " + at("others") + " --thresholds " + at("thresholds.json") + " --out " +
                at("others.jsonl")),
            0);
  const Labels labels = read_label_file(at("others.jsonl"));
  const int64_t good = std::count_if(labels.images.begin(), labels.images.end(), [](auto& one) { return one.good; });
  ASSERT_GT(good, 0);
  ASSERT_LT(good, int64_t(labels.images.size()));
  const std::string command = "dlabel attack --images " + at("data") + " --out " + at("attacks_and_samples") +
                              " --count 1 --image-size 32 --scorer " + at("scorer") + " --samples " + at("others");
  EXPECT_EQ(run(command + " --masks " + at("others")), 2) << "the rule is missing";
  const std::string text = at("attacks.txt");
  ASSERT_EQ(std::system((std::string(ECHODIFF_BIN_DIR) + "/" + command + " --masks " + at("others") + " --thresholds " +
                         at("thresholds.json") + " > " + text)
                            .c_str()),
            0);
  EXPECT_TRUE(std::regex_search(read_file(text), std::regex("good samples +" + std::to_string(good) + " ")))
      << read_file(text);
}

// As usgra_seg is.
TEST_F(Dlabel, AttackTakesSamplesOfDataWithoutSectors) {
  EXPECT_EQ(run("dlabel attack --images " + at("data") + " --out " + at("whole_pictures") +
                " --count 1 --image-size 32 --scorer " + at("scorer") + " --samples " + at("copies") + " --masks " +
                at("copies") + " --thresholds " + at("thresholds.json")),
            0);
}

TEST_F(Dlabel, AttackAsksANetworkWhereThereIsOne) {
  ASSERT_EQ(run("dtrain diffusion --steps 1 --batch 1 --image-size 32 --timesteps 10 --dim 8 --mults 1,2 --data " +
                at("data") + " --out " + at("diffusion")),
            0);
  const std::string rest = " --images " + at("data") + " --count 3 --diffusion " + at("diffusion");
  ASSERT_EQ(run("dlabel attack --image-size 32 --out " + at("with_network") + rest), 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_ / "with_network/images"), fs::directory_iterator()), 33);
  EXPECT_TRUE(fs::exists(at("with_network/images/x0hat_half_000002.png")));
  EXPECT_EQ(run("dlabel attack --image-size 16 --out " + at("other_size") + rest), 65);
}

}  // namespace
}  // namespace echodiff
