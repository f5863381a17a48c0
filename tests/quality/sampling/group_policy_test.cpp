// Rules over the trajectories of one mask, the restart rule and its file, and what an accepted picture costs.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "quality/recordings/restart_fit.h"
#include "quality/sampling/cost.h"
#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/ranking.h"
#include "quality/sampling/policy/restart.h"
#include "quality/sampling/policy/smc.h"
#include "tensor/io/file.h"
#include "tests/quality/sampling/fake_sampling.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

TEST(RankingPolicy, BestOfKeepsTheBestOfEachGroup) {
  SamplerJob job = fake_job(best_of_policy(5));
  job.tau = 0;
  const Outcome outcome = run(job);  // 30 trajectories, 3 masks, groups of 5: 2 rounds
  EXPECT_EQ(outcome.totals.kept, 6);
  EXPECT_EQ(outcome.totals.unet_calls, 30 * kT);
  std::map<std::pair<int64_t, int64_t>, double> best;
  for (const SampleRecord& record : outcome.records) {
    double& score = best[{record.index / 15, record.condition}];
    score = std::max(score, *record.final_score);
  }
  for (const SampleRecord& record : outcome.records)
    EXPECT_EQ(record.kept(), *record.final_score == best.at({record.index / 15, record.condition})) << record.index;
}

TEST(RankingPolicy, HalvingAndScreenCostWhatTheyShould) {
  SamplerJob job = fake_job(halving_policy({.group = 10, .keep = 0.5, .rungs = {0.2, 0.5}}));
  job.tau = 0;
  const Outcome halved = run(job);  // 10 -> 5 after 4 calls -> 3 after 10 calls
  EXPECT_EQ(halved.totals.unet_calls, 3 * (5 * 4 + 2 * 10 + 3 * kT));
  EXPECT_EQ(halved.totals.kept, 9);
  job.policy = screen_policy(10, 0.3);
  const Outcome screened = run(job);
  EXPECT_EQ(screened.totals.unet_calls, 3 * 3 * kT);
  for (const SampleRecord& record : screened.records)
    EXPECT_EQ(record.unet_calls, record.kept() ? kT : 0) << record.index;
}

TEST(RankingPolicy, BatchChangesNothingAndWaitingHoldsNoPlace) {
  SamplerJob job = fake_job(halving_policy({.group = 10, .keep = 0.3, .rungs = {0.1, 0.4}}));
  job.batch = 1;  // a group of 10 through one place: the others must wait outside it
  const Outcome one = run(job);
  for (const int64_t batch : {4, 64}) {
    job.batch = batch;
    const Outcome other = run(job);
    ASSERT_EQ(other.records.size(), one.records.size());
    for (size_t i = 0; i < one.records.size(); ++i) {
      EXPECT_EQ(other.records[i].reason, one.records[i].reason);
      EXPECT_EQ(other.records[i].image.pixels, one.records[i].image.pixels);
    }
  }
  job.shards = 2;
  EXPECT_THROW(run(job), Error);
}

TEST(Smc, SystematicResamplingCopiesByWeight) {
  EXPECT_EQ(systematic_resampling({1, 1, 1, 1}, 0.5), (std::vector<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(systematic_resampling({0, 3, 0, 1}, 0.5), (std::vector<size_t>{1, 1, 1, 3}));
  EXPECT_EQ(systematic_resampling({0, 0, 0, 5}, 0.999), (std::vector<size_t>{3, 3, 3, 3}));
  EXPECT_DOUBLE_EQ(effective_sample_size({1, 1, 1, 1}), 4);
  EXPECT_DOUBLE_EQ(effective_sample_size({0, 2, 0, 0}), 1);
  std::vector<double> weights{0.1, 0.2, 0.3, 0.4};
  std::vector<int64_t> count(4);
  for (uint64_t i = 0; i < 4000; ++i)
    for (const size_t member : systematic_resampling(weights, Random(1, i).uniform())) ++count[member];
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(double(count[i]) / 16000, weights[i], 0.01);
}

TEST(Smc, CopiesGoOnWithTheirAncestorsDeepFeatures) {
  SamplerJob job = fake_job(smc_policy({.group = 5, .lambda = 40, .warm_up = 0.2, .every = 4, .seed = 3}));
  job.plan = make_plan(make_schedule(ScheduleKind::linear, kT), {.sampler = "ddim", .steps = kT});
  job.whole_every = 1000;
  job.caching = fake_caching_network;
  const Outcome outcome = run(job);
  int64_t copies = 0;
  for (const SampleRecord& record : outcome.records) {
    if (!record.ancestor || outcome.records[size_t(*record.ancestor)].ancestor) continue;
    EXPECT_EQ(record.image.pixels,
              outcome.records[size_t(*record.ancestor)].image.pixels);  // ddim: no noise parts them
    ++copies;
  }
  EXPECT_GT(copies, 3);
}

TEST(Smc, CopiesGoOnWithTheirOwnNoise) {
  SamplerJob job = fake_job(smc_policy({.group = 5, .lambda = 40, .warm_up = 0.2, .every = 4, .seed = 3}));
  job.tau = 0.5;
  const Outcome outcome = run(job);
  int64_t copies = 0;
  CostLedger ledger({CostUnit::Kind::group, 3, 5});
  for (const SampleRecord& record : outcome.records) {
    EXPECT_EQ(record.unet_calls, kT);
    copies += record.ancestor.has_value();
    if (record.ancestor) {
      EXPECT_EQ(*record.ancestor % 3, record.condition);
    }
    ledger.add(record);
  }
  EXPECT_GT(copies, 5);
  EXPECT_EQ(ledger.distinct(), outcome.totals.kept);  // ddpm: fresh noise parts the copies
  const Outcome plain = [] {
    SamplerJob posthoc = fake_job(best_of_policy(5));
    posthoc.policy.ranks_finished = false;
    posthoc.policy.group = 1;
    return run(posthoc);
  }();
  EXPECT_GT(outcome.totals.kept, plain.totals.kept);  // steering towards the score raises it
  job.batch = 3;
  const Outcome again = run(job);
  for (size_t i = 0; i < outcome.records.size(); ++i)
    EXPECT_EQ(again.records[i].image.pixels, outcome.records[i].image.pixels);

  job.plan = make_plan(make_schedule(ScheduleKind::linear, kT), {.sampler = "ddim", .steps = 10});
  const Outcome deterministic = run(job);
  CostLedger twins({CostUnit::Kind::group, 3, 5});
  for (const SampleRecord& record : deterministic.records) twins.add(record);
  EXPECT_LT(twins.distinct(), deterministic.totals.kept);  // without noise they stay the same picture
}

TEST(EsDdpm, BeginsAtTheNoisedPicture) {
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  const SamplerOptions ddim{.sampler = "ddim", .steps = 5};
  const SamplingPlan plan = es_ddpm_plan(schedule, ddim, 9);
  EXPECT_EQ(plan.count(), 5);
  EXPECT_EQ(plan.steps[0].t, 9);
  EXPECT_EQ(plan.steps.back().next_t, -1);
  EXPECT_EQ(es_ddpm_plan(schedule, {.sampler = "ddpm"}, 9).count(), 10);
  EXPECT_THROW(es_ddpm_plan(schedule, {.sampler = "dpmpp", .steps = 5}, 9), Error);
  SamplerOptions unipc{.sampler = "unipc", .steps = 3, .grid = {.kind = GridKind::given, .times = {kT - 1, 7, 2}}};
  const SamplingPlan lower = es_ddpm_plan(schedule, unipc, 9);
  unipc.steps = 2;
  unipc.grid.times = {7, 2};
  const SamplingPlan expected = make_plan(schedule, unipc);
  ASSERT_EQ(lower.count(), 2);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(lower.steps[i].t, expected.steps[i].t);
    EXPECT_EQ(lower.steps[i].from_x_start, expected.steps[i].from_x_start);
  }
  EXPECT_THROW(es_ddpm_plan(schedule, unipc, 1), Error);
  const std::vector<Tensor> pictures{full({1, 1, kSize, kSize}, 0.5), full({1, 1, kSize, kSize}, -0.5)};
  const NoiseSource source = es_ddpm_start(schedule, 9, pictures, default_noise(7));
  std::vector<float> x(kPixels), noise(kPixels);
  source(3, 0, x.data(), kPixels);
  default_noise(7)(3, 0, noise.data(), kPixels);
  const double a = schedule.alphas_cumprod[9];
  for (int64_t i = 0; i < kPixels; ++i)
    EXPECT_NEAR(x[size_t(i)], -0.5 * std::sqrt(a) + std::sqrt(1 - a) * double(noise[size_t(i)]), 1e-5);
  source(3, 1, x.data(), kPixels);
  default_noise(7)(3, 1, noise.data(), kPixels);
  EXPECT_EQ(x, noise);
}

TEST(Restart, CalibrationFindsTheLogisticCurve) {
  std::vector<double> scores;
  std::vector<bool> outcomes;
  Random random(5);
  const RestartLook truth{0, -0.7, 1.6};
  for (int i = 0; i < 20000; ++i) {
    scores.push_back(random.uniform(0.01, 0.99));
    outcomes.push_back(random.uniform() < calibrated(truth, scores.back()));
  }
  const RestartLook look = fit_calibration(0, scores, outcomes);
  EXPECT_NEAR(look.offset, truth.offset, 0.06);
  EXPECT_NEAR(look.slope, truth.slope, 0.06);
  // A judge that separates perfectly must not send the curve to infinity.
  const RestartLook steep = fit_calibration(0, {0.1, 0.2, 0.8, 0.9}, {false, false, true, true});
  EXPECT_TRUE(std::isfinite(steep.slope) && steep.slope < 10);
}

TEST(Restart, LooksAreEarlyAndSpread) {
  EXPECT_EQ(spread_looks(20, 4), (std::vector<int64_t>{0, 2, 5, 15}));
  EXPECT_EQ(spread_looks(1, 4), (std::vector<int64_t>{}));
}

TEST(Restart, FileKeepsTheRule) {
  const ScratchFolder folder;
  const std::string path = folder.at("rule.json");
  RestartRule rule;
  rule.judge = "value";
  rule.on = ScoreOn::xt;
  rule.steps = 20;
  rule.lambda = 1.0 / 3;
  rule.looks = {{-1, 0.1, 1}, {3, -0.25, 2}};
  rule.lambda_of_mask = {{"a.png", 0.5}, {"b.png", 0.125}};
  rule.fit = {1000, 20, 0.95, 0.385, 52, 30.5, 31};
  write_restart_rule(path, rule);
  const RestartRule back = read_restart_rule(path);
  EXPECT_EQ(back.judge, "value");
  EXPECT_EQ(back.on, ScoreOn::xt);
  EXPECT_EQ(back.lambda, rule.lambda);
  EXPECT_EQ(back.lambda_of_mask, rule.lambda_of_mask);
  ASSERT_EQ(back.looks.size(), 2u);
  EXPECT_EQ(back.looks[1].slope, 2);
  EXPECT_EQ(back.looks[0].step, -1);
  EXPECT_EQ(back.fit.held_out_cost, 31);
  std::string text = read_file(path);
  text.replace(text.find("\"lambda\""), 8, "\"lamda\"");
  write_file_atomic(path, text);
  EXPECT_THROW(read_restart_rule(path), Error);
}

TEST(Restart, EachMaskHasItsPrice) {
  RestartRule rule;
  rule.steps = 20;
  rule.lambda = 0.02;
  rule.looks = {{3, 0, 1}};
  rule.lambda_of_mask = {{"easy.png", 0.04}, {"hard.png", 0.01}};
  const Policy policy = restart_policy(rule, {"hard.png", "easy.png", "new.png"});
  const auto goes_on = [&](int64_t mask, double score) {
    const std::vector<Score> scores{{0, score}};
    return policy.decide({scores, 0, mask, 3, 20, 16}).verdict == Verdict::kContinue;
  };
  EXPECT_TRUE(goes_on(0, 0.17) && !goes_on(0, 0.15));  // 16 calls at 0.01
  EXPECT_TRUE(goes_on(1, 0.65) && !goes_on(1, 0.63));
  EXPECT_TRUE(goes_on(2, 0.33) && !goes_on(2, 0.31));
}

TEST(Cost, BootstrapCoversTheRatio) {
  int covered = 0;
  for (uint64_t trial = 0; trial < 100; ++trial) {
    Random random(9, trial);
    std::map<int64_t, RatioTerm> units;
    for (int64_t i = 0; i < 200; ++i) {
      const bool good = random.uniform() < 0.4;
      units[i] = {good ? 20.0 : random.uniform() < 0.5 ? 2.0 : 20.0, good ? 1.0 : 0.0};
    }
    const double truth = (0.4 * 20 + 0.6 * 11) / 0.4;
    const Estimate interval = ratio_of_sums({units});
    ASSERT_TRUE(std::isfinite(interval.high));
    covered += interval.low <= truth && truth <= interval.high;
  }
  EXPECT_GE(covered, 88);
  EXPECT_LE(covered, 99);
  EXPECT_TRUE(std::isnan(ratio_of_sums({{{0, {5, 1}}}}).low));
  EXPECT_TRUE(std::isinf(ratio_of_sums({{{0, {5, 0}}, {1, {5, 0}}, {2, {5, 1}}}}).high));
}

}  // namespace
}  // namespace echodiff
