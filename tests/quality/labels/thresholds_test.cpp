// The three rules, calibration from quantiles, and the threshold file.
#include "quality/labels/thresholds.h"
#include "quality/statistics/estimates.h"

#include <gtest/gtest.h>

#include "kernels/error.h"

namespace echodiff {
namespace {

Fault fault_of(const std::string& json) {
  try {
    parse_thresholds(json, "t.json");
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    EXPECT_EQ(std::string(error.what()).rfind("t.json", 0), 0u) << error.what();
    return error.fault();
  }
  ADD_FAILURE() << "accepted: " << json;
  return Fault::kInternal;
}

TEST(Thresholds, TextRuleWantsLowLaplacianVariance) {
  const Thresholds paper = preset_thresholds("paper");
  EXPECT_TRUE(is_good({147.34, 30.34, 0.26}, paper));   // the paper's accepted mean
  EXPECT_FALSE(is_good({469.87, 28.82, 0.31}, paper));  // and the one without the judge
  EXPECT_FALSE(is_good({200, 30, 0.2}, paper));         // strict
  EXPECT_FALSE(is_good({100, 20, 0.2}, paper));
  EXPECT_FALSE(is_good({100, 30, 0.3}, paper));
}

TEST(Thresholds, PrintedRuleIsTheOppositeInSharpness) {
  const Thresholds eq4 = preset_thresholds("eq4");
  EXPECT_FALSE(is_good({147.34, 30.34, 0.26}, eq4));
  EXPECT_TRUE(is_good({200, 20, 0.3}, eq4));
}

TEST(Thresholds, BandHasLowerBounds) {
  Thresholds band;
  band.rule = Rule::kBand;
  band.sharpness = {50, 100};
  band.noise.high = 1;
  EXPECT_TRUE(is_good({50, 0, -5}, band));
  EXPECT_FALSE(is_good({49, 0, 0}, band));
  EXPECT_FALSE(is_good({60, 0, 1.1}, band));
}

TEST(Thresholds, CalibrateTakesQuantiles) {
  std::vector<Metrics> metrics;
  for (int i = 10; i >= 0; --i) metrics.push_back({double(i) * 10, double(i), double(i) / 10});
  const Thresholds thresholds = calibrate(metrics, 0.9);
  EXPECT_NEAR(thresholds.tau_sharpness, 90, 1e-9);
  EXPECT_NEAR(thresholds.tau_contrast, 1, 1e-9);
  EXPECT_NEAR(thresholds.tau_noise, 0.9, 1e-9);
  EXPECT_NEAR(thresholds.sharpness.low, 10, 1e-9);
  EXPECT_EQ(thresholds.pictures, 11);
  const Thresholds strict = calibrate(metrics, 0.2);  // each gate lets a fifth pass
  EXPECT_NEAR(strict.tau_sharpness, 20, 1e-9);
  EXPECT_NEAR(strict.tau_contrast, 8, 1e-9);
  EXPECT_NEAR(strict.tau_noise, 0.2, 1e-9);
  EXPECT_NEAR(strict.sharpness.low, 20, 1e-9);
  EXPECT_NEAR(strict.sharpness.high, 80, 1e-9);
  EXPECT_THROW(calibrate({}, 0.9), Error);
  EXPECT_NEAR(quantile_of({3, 1, 2, 10}, 0.5), 2.5, 1e-12);
}

TEST(Thresholds, JsonReadsBackTheSame) {
  Thresholds written = calibrate({{1.0 / 3, 20, 0.1}, {7, 30, 0.2}}, 0.75);
  written.rule = Rule::kBand;
  written.contrast.high = std::numeric_limits<double>::infinity();
  written.metric.sigma = 0.7;
  written.region = "sector";
  written.width = 64;
  written.height = 48;
  const Thresholds read = parse_thresholds(thresholds_json(written), "t.json");
  EXPECT_EQ(thresholds_json(read), thresholds_json(written));
  EXPECT_EQ(read.tau_sharpness, written.tau_sharpness);
  EXPECT_EQ(read.contrast.high, written.contrast.high);
  EXPECT_EQ(read.height, 48);
}

TEST(Thresholds, RefusesAnotherSize) {
  Thresholds thresholds;
  EXPECT_NO_THROW(require_same_size(thresholds, 64, 64, "a.png"));  // the paper states none
  thresholds.width = thresholds.height = 64;
  EXPECT_NO_THROW(require_same_size(thresholds, 64, 64, "a.png"));
  EXPECT_THROW(require_same_size(thresholds, 64, 65, "a.png"), Error);
}

TEST(Thresholds, ReadingIsStrict) {
  const std::string good = thresholds_json(preset_thresholds("paper"));
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_EQ(fault_of(""), Fault::kBadInput);
  EXPECT_EQ(fault_of("[]"), Fault::kBadInput);
  EXPECT_EQ(fault_of(good + "x"), Fault::kBadInput);
  EXPECT_EQ(fault_of(std::string(100000, '[')), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"kind\": \"thresholds\"", "\"kind\": \"labels\"")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("laplacian4", "laplacian8")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("reflect101", "zero")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"text\"", "\"best\"")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"sigma\": 0.5", "\"sigma\": 0")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"sigma\": 0.5", "\"sigma\": \"0.5\"")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"tau_noise\": 0.3", "\"tau_noise\": NaN")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"tau_noise\": 0.3", "\"tau_noise\": 1e400")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"tau_noise\": 0.3", "\"tau_nose\": 0.3")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"tau_noise\": 0.3", "\"tau_noise\": 0.3, \"tau_noise\": 0.4")), Fault::kBadInput);
  EXPECT_EQ(fault_of(with("\"tau_noise\": 0.3", "\"tau_noise\": 0.3, \"more\": 0.4")), Fault::kBadInput);
}

}  // namespace
}  // namespace echodiff
