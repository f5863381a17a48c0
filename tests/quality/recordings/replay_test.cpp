// A policy replayed on a recording decides as it does live: on the same seed every record is the same.
#include "quality/recordings/replay.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "quality/judges/threshold_judge.h"
#include "quality/recordings/recorder.h"
#include "quality/recordings/restart_fit.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/oracle.h"
#include "quality/sampling/policy/paper.h"
#include "quality/sampling/policy/posthoc.h"
#include "quality/sampling/policy/random.h"
#include "quality/sampling/policy/ranking.h"
#include "quality/sampling/policy/restart.h"
#include "quality/sampling/policy/smc.h"
#include "tests/quality/sampling/fake_sampling.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCount = 240, kMasks = 8;
constexpr double kTau = 0.5;

SamplerJob live_job(const Policy& policy) {
  SamplerJob job = fake_job(policy);
  job.conditions.clear();
  for (int64_t mask = 0; mask < kMasks; ++mask)
    job.conditions.push_back(full({1, 2, kSize, kSize}, mask % 2 == 0 ? 0 : 1));
  job.count = kCount;
  job.tau = kTau;
  return job;
}

Thresholds some_thresholds() {
  Thresholds thresholds;
  thresholds.rule = Rule::kBand;
  thresholds.contrast = {0, 60};
  return thresholds;
}

class Replay : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const fs::path root = fs::temp_directory_path() / ("echodiff_replay_" + std::to_string(::getpid()));
    fs::remove_all(root);
    RecorderJob job;
    job.sampling = live_job(none_policy());
    job.judges = {fake_judge};
    job.facts.judges = {{"clean", ScoreOn::x0hat, "1"}};
    for (const PlanStep& row : job.sampling.plan.steps) {
      job.facts.times.push_back(row.t);
      job.facts.next_times.push_back(row.next_t);
    }
    job.facts.size = kSize;
    job.facts.seed = 7;
    job.facts.planes = {"organ", "sector"};
    for (int64_t mask = 0; mask < kMasks; ++mask) job.facts.masks.push_back(std::to_string(mask) + ".png");
    job.facts.thresholds = some_thresholds();
    record_trajectories(root.string(), job, fake_network, {});
    recording_ = new Recording(read_recording(root.string(), true));
    fs::remove_all(root);
  }
  static void TearDownTestSuite() { delete recording_; }

  static Outcome replayed(const SamplerJob& live, const ReplayOptions& options = {"clean", ""}) {
    SamplerJob job = recorded_job(*recording_);
    job.policy = live.policy;
    job.count = live.count;
    job.batch = live.batch;
    job.tau = live.tau;
    job.accept = live.accept;
    job.accept_per_mask = live.accept_per_mask;
    job.tail = live.tail;
    job.keep = live.keep;
    Outcome outcome;
    SamplerHooks hooks;
    hooks.on_record = [&](const SampleRecord& record) { outcome.records.push_back(record); };
    outcome.totals = replay(*recording_, job, options, hooks);
    return outcome;
  }

  static Recording* recording_;
};
Recording* Replay::recording_ = nullptr;

void expect_same(const Outcome& a, const Outcome& b) {
  ASSERT_EQ(a.records.size(), b.records.size());
  for (size_t i = 0; i < a.records.size(); ++i) {
    const SampleRecord &x = a.records[i], &y = b.records[i];
    EXPECT_EQ(x.index, y.index);
    EXPECT_EQ(x.condition, y.condition);
    EXPECT_EQ(x.unet_calls, y.unet_calls) << x.index;
    EXPECT_EQ(x.decision, y.decision) << x.index;
    EXPECT_EQ(x.reason, y.reason) << x.index;
    EXPECT_EQ(x.final_score, y.final_score) << x.index;
    EXPECT_EQ(x.halted_t, y.halted_t) << x.index;
    if (x.kept()) {
      EXPECT_EQ(x.image.pixels, y.image.pixels) << x.index;
    }
    ASSERT_EQ(x.scores.size(), y.scores.size()) << x.index;
    for (size_t s = 0; s < x.scores.size(); ++s) {
      EXPECT_EQ(x.scores[s].t, y.scores[s].t);
      EXPECT_EQ(x.scores[s].value, y.scores[s].value);
    }
  }
  EXPECT_EQ(a.totals.trajectories, b.totals.trajectories);
  EXPECT_EQ(a.totals.kept, b.totals.kept);
  EXPECT_EQ(a.totals.unet_calls, b.totals.unet_calls);
  EXPECT_EQ(a.totals.unused_calls, b.totals.unused_calls);
  EXPECT_EQ(a.totals.scored_images, b.totals.scored_images);
}

RestartRule restart_rule() {
  RestartRule rule;
  rule.judge = "clean";
  rule.steps = kT;
  rule.lambda = 0.028;
  rule.looks = {{-1, 0, 1}, {0, 0, 1}, {4, 0, 1}, {11, 0.1, 1.2}};
  return rule;
}

std::vector<Policy> policies() {
  return {posthoc_policy(),
          paper_policy({.tau = 0.55, .window = 3, .delta = 0.002, .warm_up = 0.2, .every = 2}),
          random_policy({0.5, 0.3, 5}),
          best_of_policy(4),
          halving_policy({.group = 6, .keep = 0.5, .rungs = {0.2, 0.5}}),
          screen_policy(4, 0.5),
          probe_policy(3, 0.34, 5),
          restart_policy(restart_rule(), {})};
}

TEST_F(Replay, DecidesAsALiveRun) {
  for (const Policy& policy : policies()) {
    SCOPED_TRACE(policy.name);
    const Outcome live = run(live_job(policy));
    EXPECT_GT(live.totals.kept, 0);
    EXPECT_LT(live.totals.kept, kCount);
    expect_same(live, replayed(live_job(policy)));
  }
}

TEST_F(Replay, StopsAsALiveRun) {
  for (const Policy& policy : policies()) {
    SCOPED_TRACE(policy.name);
    SamplerJob job = live_job(policy);
    job.accept = 5;
    for (const int64_t batch : {1, 8, 20}) {
      job.batch = batch;
      const Outcome live = run(job);
      EXPECT_EQ(live.totals.kept, 5);
      expect_same(live, replayed(job));
    }
  }
}

TEST_F(Replay, QuotaPerMaskAsALiveRun) {
  for (const Policy& policy : policies()) {
    SCOPED_TRACE(policy.name);
    SamplerJob job = live_job(policy);
    job.accept_per_mask = 3;
    std::vector<SampleRecord> first;
    for (const int64_t batch : {1, 8, 20}) {
      job.batch = batch;
      const Outcome live = run(job);
      expect_same(live, replayed(job));
      std::vector<int64_t> kept(kMasks);
      for (const SampleRecord& record : live.records) {
        EXPECT_LT(kept[size_t(record.condition)], 3);  // nothing of a mask that has enough
        kept[size_t(record.condition)] += record.kept();
      }
      if (first.empty()) first = live.records;
      ASSERT_EQ(live.records.size(), first.size());
      for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(live.records[i].index, first[i].index);
    }
  }
}

TEST_F(Replay, LabelsOfTheThresholdsJudgeAsTheirFileDoesLive) {
  SamplerJob job = live_job(probe_policy(3, 0.34, 5));
  job.final_judge = threshold_judge(some_thresholds());
  const Outcome live = run(job);
  EXPECT_GT(live.totals.kept, 0);
  expect_same(live, replayed(job, {"clean", "label"}));
}

TEST_F(Replay, OracleDropsWhatWouldFail) {
  const Outcome all = replayed(live_job(posthoc_policy()));
  std::vector<bool> passes;
  for (const SampleRecord& record : all.records) passes.push_back(record.kept());
  const Outcome oracle = replayed(live_job(oracle_policy(passes, 0.1)));
  EXPECT_EQ(oracle.totals.kept, all.totals.kept);
  EXPECT_EQ(oracle.totals.unet_calls, all.totals.kept * kT + (kCount - all.totals.kept) * kT / 10);
  const Outcome clairvoyant = replayed(live_job(oracle_policy(passes, 0)));
  EXPECT_EQ(clairvoyant.totals.unet_calls, all.totals.kept * kT);
}

TEST_F(Replay, SaysWhatARecordingCannotAnswer) {
  SamplerJob job = live_job(paper_policy({.tau = 0.52, .window = 3, .delta = 0.002, .warm_up = 0.2, .every = 1}));
  job.tail = [](int64_t t) { return make_tail(make_schedule(ScheduleKind::linear, kT), {}, t, 2); };
  EXPECT_THROW(replayed(job), Error);
  job.tail = nullptr;
  EXPECT_NO_THROW(replayed(job));
  job.keep = Keep::x0hat;
  EXPECT_THROW(replayed(job), Error);
  EXPECT_THROW(replayed(live_job(smc_policy({.group = 4, .lambda = 50}))), Error);
  EXPECT_THROW(replayed(live_job(posthoc_policy()), {"nobody", ""}), Error);
  job = live_job(posthoc_policy());
  job.count = kCount + 1;
  EXPECT_THROW(replayed(job), Error);
}

TEST_F(Replay, RestartFitBeatsPosthocOnMasksItHasNotSeen) {
  RestartFitOptions options;
  options.judges.judge = "clean";
  options.tau = kTau;
  const RestartRule rule = fit_restart(*recording_, options);
  EXPECT_EQ(rule.steps, kT);
  EXPECT_GT(rule.lambda, 0);
  EXPECT_LT(rule.fit.fitted_cost, 0.9 * rule.fit.posthoc_cost);
  EXPECT_LT(rule.fit.held_out_cost, rule.fit.posthoc_cost);
  const Outcome outcome = replayed(live_job(restart_policy(rule, {})));
  EXPECT_DOUBLE_EQ(double(outcome.totals.unet_calls) / double(outcome.totals.kept), rule.fit.fitted_cost);
  options.tau = 1;
  EXPECT_THROW(fit_restart(*recording_, options), Error);
}

// Every other mask is hard; all that is known of a trajectory stands in its score from the start.
Recording easy_and_hard_masks(const Recording& like) {
  Recording recording = like;
  recording.trajectories.clear();
  Random random(3);
  for (int64_t i = 0; i < 600 * kMasks; ++i) {
    const double chance = i % 2 == 0 ? random.uniform(0.4, 1) : random.uniform(0, 0.2);
    Trajectory trajectory = like.trajectories[0];
    trajectory.index = i;
    trajectory.condition = i % kMasks;
    trajectory.good = random.uniform() < chance;
    trajectory.start = {float(chance)};
    trajectory.scores = {std::vector<float>(size_t(kT + 1), float(chance))};
    recording.trajectories.push_back(trajectory);
  }
  return recording;
}

TEST_F(Replay, RestartFitForAnEqualQuotaDoesNotStarveAMask) {
  const Recording recording = easy_and_hard_masks(*recording_);
  const auto at_equal_quota = [&](const Policy& policy) {
    SamplerJob job = recorded_job(recording);
    job.policy = policy;
    job.tau = 0.5;
    job.accept_per_mask = 20;
    return replay(recording, job, {"clean", "label"}, {});
  };
  RestartFitOptions options;
  options.judges = {"clean", "label"};
  const std::vector<std::string>& masks = recording.facts.masks;
  const SamplerTotals pooled = at_equal_quota(restart_policy(fit_restart(recording, options), masks));
  EXPECT_EQ(pooled.kept, 20 * kMasks / 2);  // a hard mask is not worth the price of all

  options.equal_quota = true;
  const RestartRule rule = fit_restart(recording, options);
  EXPECT_EQ(rule.lambda_of_mask.size(), size_t(kMasks));
  EXPECT_LT(rule.fit.held_out_cost, 0.8 * rule.fit.posthoc_cost);
  const SamplerTotals own = at_equal_quota(restart_policy(rule, masks)), posthoc = at_equal_quota(posthoc_policy());
  EXPECT_EQ(own.kept, 20 * kMasks);
  EXPECT_EQ(posthoc.kept, 20 * kMasks);
  EXPECT_LT(double(own.unet_calls), 0.8 * double(posthoc.unet_calls));
}

}  // namespace
}  // namespace echodiff
