// The sampler with a cheap network and judge: nothing a sample becomes may depend on batch, shard, threads or on what
// happened to others; `accept` stops in index order; costs add up.
#include "quality/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "kernels/thread_pool.h"
#include "quality/sampling/exits_fit.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/paper.h"
#include "quality/sampling/policy/posthoc.h"
#include "tests/quality/sampling/fake_sampling.h"

namespace echodiff {
namespace {

Policy watching() { return paper_policy({.tau = 0.55, .window = 3, .delta = 0.002, .warm_up = 0.2, .every = 2}); }

void expect_same(const SampleRecord& a, const SampleRecord& b) {
  EXPECT_EQ(a.index, b.index);
  EXPECT_EQ(a.unet_calls, b.unet_calls);
  EXPECT_EQ(a.shallow_calls, b.shallow_calls);
  EXPECT_EQ(a.decision, b.decision) << a.index;
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.final_score, b.final_score);
  EXPECT_EQ(a.image.pixels, b.image.pixels) << a.index;
  ASSERT_EQ(a.scores.size(), b.scores.size());
  for (size_t i = 0; i < a.scores.size(); ++i) EXPECT_EQ(a.scores[i].value, b.scores[i].value);
}

void expect_same(const Outcome& a, const Outcome& b) {
  ASSERT_EQ(a.records.size(), b.records.size());
  for (size_t i = 0; i < a.records.size(); ++i) expect_same(a.records[i], b.records[i]);
  EXPECT_EQ(a.totals.unet_calls, b.totals.unet_calls);
}

TEST(Sampler, TheTrialHasEveryKindOfDecision) {
  std::vector<std::string> reasons;
  for (const SampleRecord& record : run(fake_job(watching())).records) reasons.push_back(record.reason);
  for (const char* reason : {"stagnation", "reached_tau_early"})
    EXPECT_NE(std::find(reasons.begin(), reasons.end(), reason), reasons.end()) << reason;
}

TEST(Sampler, BatchAndThreadsChangeNothing) {
  SamplerJob job = fake_job(watching());
  job.batch = 1;
  const Outcome one = run(job);
  for (const int64_t batch : {3, 8, 64}) {
    job.batch = batch;
    expect_same(run(job), one);
  }
  const int before = thread_count();
  set_thread_count(3);
  expect_same(run(job), one);
  set_thread_count(before);
}

TEST(Sampler, OthersDiscardsChangeNothing) {
  const Outcome all = run(fake_job(none_policy())), some = run(fake_job(posthoc_policy()));
  ASSERT_EQ(all.records.size(), some.records.size());
  for (size_t i = 0; i < all.records.size(); ++i) {
    EXPECT_EQ(all.records[i].decision, "finished");
    EXPECT_EQ(all.records[i].image.pixels, some.records[i].image.pixels);
    EXPECT_EQ(some.records[i].decision, *all.records[i].final_score >= 0.5 ? "accepted" : "discarded");
    EXPECT_EQ(some.records[i].reason, *all.records[i].final_score >= 0.5 ? "reached_tau" : "final_score");
  }
}

TEST(Sampler, ShardsTogetherAreTheWhole) {
  SamplerJob job = fake_job(watching());
  const Outcome whole = run(job);
  job.shards = 4;
  size_t seen = 0;
  for (job.shard = 0; job.shard < 4; ++job.shard)
    for (const SampleRecord& record : run(job).records) {
      EXPECT_EQ(record.index % 4, job.shard);
      expect_same(record, whole.records[size_t(record.index)]);
      ++seen;
    }
  EXPECT_EQ(seen, whole.records.size());
}

TEST(Sampler, AcceptStopsInIndexOrder) {
  SamplerJob job = fake_job(watching());
  const Outcome whole = run(job);
  job.accept = 4;
  job.batch = 1;
  const Outcome one = run(job);
  EXPECT_EQ(one.totals.kept, 4);
  EXPECT_TRUE(one.records.back().kept());
  EXPECT_EQ(one.totals.unused_calls, 0);
  for (size_t i = 0; i < one.records.size(); ++i) expect_same(one.records[i], whole.records[i]);
  job.batch = 8;
  expect_same(run(job), one);
}

TEST(Sampler, CallsAddUp) {
  SamplerJob job = fake_job(none_policy());
  EXPECT_EQ(run(job).totals.unet_calls, 30 * kT);
  job.guidance = 2;
  EXPECT_EQ(run(job).totals.unet_calls, 30 * kT * 2);
  const Outcome watched = run(fake_job(watching()));
  int64_t sum = 0;
  for (const SampleRecord& record : watched.records) {
    sum += record.unet_calls;
    if (record.reason == "stagnation") {
      EXPECT_LT(record.unet_calls, kT);
    }
  }
  EXPECT_EQ(watched.totals.unet_calls, sum);
}

TEST(Sampler, DeepCacheChangesNothingWithBatchAndShards) {
  SamplerJob job = fake_job(watching());
  const Outcome whole = run(job);
  job.caching = fake_caching_network;
  expect_same(run(job), whole);  // every call is a whole one
  job.whole_every = 3;
  job.batch = 1;
  const Outcome one = run(job);
  EXPECT_NE(one.records[0].image.pixels, whole.records[0].image.pixels);
  for (const int64_t batch : {3, 8, 64}) {
    job.batch = batch;
    expect_same(run(job), one);
  }
  job.shards = 4;
  for (job.shard = 0; job.shard < 4; ++job.shard)
    for (const SampleRecord& record : run(job).records) expect_same(record, one.records[size_t(record.index)]);
}

TEST(Sampler, DeepCacheBeginsATailWithAWholeCall) {
  SamplerJob job = fake_job(watching());
  job.caching = fake_caching_network;
  job.whole_every = 1000;
  const Outcome plain = run(job);
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  job.tail = [&](int64_t t) { return make_tail(schedule, {.sampler = "ddpm"}, t, 3); };
  const Outcome tailed = run(job);
  int64_t tails = 0;
  for (size_t i = 0; i < plain.records.size(); ++i) {
    if (tailed.records[i].reason != "reached_tau_early") continue;
    const bool has_tail = tailed.records[i].unet_calls < kT;  // else it was no shorter than the rest
    EXPECT_EQ(tailed.records[i].unet_calls - tailed.records[i].shallow_calls, has_tail ? 2 : 1);
    tails += has_tail;
    EXPECT_EQ(plain.records[i].unet_calls - plain.records[i].shallow_calls, 1);
  }
  EXPECT_GT(tails, 0);
}

TEST(Sampler, DeepCacheCountsItsShallowCalls) {
  SamplerJob job = fake_job(none_policy());
  job.caching = fake_caching_network;
  job.whole_every = 3;
  const Outcome outcome = run(job);
  EXPECT_EQ(outcome.totals.unet_calls, 30 * kT);
  EXPECT_EQ(outcome.totals.shallow_calls, 30 * (kT - (kT + 2) / 3));
  EXPECT_EQ(outcome.totals.shallow.count, outcome.totals.shallow_calls);
  EXPECT_EQ(outcome.totals.whole.count, 30 * ((kT + 2) / 3));
  EXPECT_EQ(outcome.records[0].shallow_calls, kT - (kT + 2) / 3);
  job.guidance = 2;
  EXPECT_THROW(run(job), Error);
}

ExitRule even_heads() {
  ExitRule rule;
  rule.steps = kT;
  rule.heads.resize(size_t(kT - 1));
  return rule;
}

// By heads of offset 0 and slope 1 an error is what the input has moved by.
TEST(Sampler, AdaDiffLeavesEarlyWhereLittleErrorIsExpected) {
  SamplerJob job = fake_job(none_policy());
  job.caching = fake_caching_network;
  job.exits = even_heads();
  job.exit_error = 0;
  const Outcome whole = run(job), plain = run(fake_job(none_policy()));
  EXPECT_EQ(whole.totals.shallow_calls, 0);
  for (size_t i = 0; i < plain.records.size(); ++i)
    EXPECT_EQ(whole.records[i].image.pixels, plain.records[i].image.pixels);
  int64_t before = 0;
  for (const double error : {0.4, 1.0, 100.0}) {
    job.exit_error = error;
    const Outcome some = run(job);
    EXPECT_GT(some.totals.shallow_calls, before);
    before = some.totals.shallow_calls;
    job.batch = 1;
    expect_same(some, run(job));
    job.batch = 8;
  }
  EXPECT_EQ(before, 30 * (kT - 1));  // all but the first call of each
  job.exits->heads[3].offset = 100;
  EXPECT_EQ(run(job).totals.shallow_calls, 30 * (kT - 2));
}

// The fake's answer with old features is off by half of what the input has changed it by, .4 of the input's move but
// for the time's share.
TEST(Sampler, ExitHeadsLearnTheErrorOfAShallowCall) {
  SamplerJob job = fake_job(none_policy());
  job.caching = fake_caching_network;
  const ExitRule rule = fit_exits(job, {});
  EXPECT_EQ(rule.steps, kT);
  EXPECT_EQ(rule.trajectories, 30);
  ASSERT_EQ(rule.heads.size(), size_t(kT - 1));
  for (int64_t step = 1; step < kT; ++step) EXPECT_NEAR(rule.expected_error(step, 1), 0.4, 0.06) << step;
  job.plan.steps.resize(1);
  EXPECT_THROW(fit_exits(job, {}), Error);
}

TEST(Sampler, GuidanceTowardsMasks) {
  SamplerJob job = fake_job(none_policy());
  const Outcome plain = run(job);
  job.guidance = 3;
  const Outcome guided = run(job);
  // Trajectory 0 has no organs: its two calls agree and nothing changes. Trajectory 1 has.
  EXPECT_EQ(plain.records[0].image.pixels, guided.records[0].image.pixels);
  EXPECT_NE(plain.records[1].image.pixels, guided.records[1].image.pixels);
}

TEST(Sampler, WhatIsKeptOfAnEarlyAccept) {
  SamplerJob job = fake_job(watching());
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  for (const Keep keep : {Keep::finish, Keep::x0hat, Keep::xt}) {
    job.keep = keep;
    int64_t early = 0;
    for (const SampleRecord& record : run(job).records)
      if (record.halted_t && record.reason != "stagnation") {
        ++early;
        EXPECT_EQ(record.unet_calls, keep == Keep::finish ? kT : kT - *record.halted_t);
      }
    EXPECT_GT(early, 0);
  }
  job.keep = Keep::finish;
  job.tail = [&](int64_t t) { return make_tail(schedule, {}, t, 2); };
  for (const SampleRecord& record : run(job).records)
    if (record.reason == "reached_tau_early") {
      EXPECT_EQ(record.unet_calls, std::min(kT, kT - *record.halted_t + 2));
    }
}

TEST(Sampler, StopHandsOutWhatIsDecided) {
  SamplerJob job = fake_job(posthoc_policy());
  job.batch = 4;
  int64_t calls = 0, records = 0;
  SamplerHooks hooks;
  hooks.stop = [&] { return ++calls > kT + 5; };
  hooks.on_record = [&](const SampleRecord&) { ++records; };
  const SamplerTotals totals = run_sampler(job, fake_network, fake_judge, hooks);
  EXPECT_TRUE(totals.interrupted);
  EXPECT_EQ(records, 4);
  EXPECT_EQ(totals.unused_calls, 4 * 5);
}

TEST(Sampler, NaNIsAnError) {
  const SamplerJob job = fake_job(none_policy());
  const Network broken = [](const Tensor& x, const Tensor&, const Tensor&) { return full(x.shape(), std::nan("")); };
  EXPECT_THROW(run_sampler(job, broken, {}, {}), Error);
  const Judge broken_judge = [](const Tensor& images, const Tensor&, const Tensor&) {
    return std::vector<double>(size_t(images.dim(0)), std::nan(""));
  };
  EXPECT_THROW(run_sampler(fake_job(posthoc_policy()), fake_network, broken_judge, {}), Error);
}

}  // namespace
}  // namespace echodiff
