// Mean starts: what a trajectory begins with, written out; the same bits whoever runs beside it; calls that count.
#include "quality/sampling/mean_start.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>

#include "diffusion/condition.h"
#include "kernels/philox.h"
#include "kernels/thread_pool.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/posthoc.h"
#include "tests/quality/sampling/fake_sampling.h"
#include "train/draws.h"

namespace echodiff {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kDraws = 3, kSteps = 4;

Schedule schedule() { return make_schedule(ScheduleKind::linear, kT); }

SamplerJob low_job(const Policy& policy, double guidance = 1, Prediction prediction = Prediction::eps) {
  SamplerJob job = fake_job(policy);
  job.guidance = guidance;
  job.plan = make_plan(schedule(), {.sampler = "ddim",
                                    .steps = kSteps,
                                    .grid = {.kind = GridKind::logsnr, .start = 0.7},
                                    .eta = 1,
                                    .prediction = prediction});
  return job;
}

// With `network` asked for the means.
SamplerJob started(SamplerJob job, const Network& network = fake_network) {
  const std::shared_ptr<MeanPictures> means = std::make_shared<MeanPictures>(schedule(), job, network, kSeed, kDraws);
  begin_at_means(schedule(), means, job);
  return job;
}

TEST(MeanStart, IsTheComputationWrittenOut) {
  const Schedule s = schedule();
  const int64_t last = kT - 1, t = low_job(none_policy()).plan.steps[0].t;
  ASSERT_LT(t, last);
  const double alpha = s.sqrt_alphas_cumprod[size_t(last)], sigma = s.sqrt_one_minus_alphas_cumprod[size_t(last)];
  for (const Prediction prediction : {Prediction::eps, Prediction::v, Prediction::x0})
    for (const double guidance : {1.0, 3.0}) {
      const SamplerJob job = started(low_job(none_policy(), guidance, prediction));
      for (const int64_t index : {0, 1, 5}) {
        const int64_t mask = index % 3;
        const double c = double(job.conditions[size_t(mask)].data<float>()[0]);
        std::vector<float> z(kPixels), x_T(kPixels), x(kPixels);
        std::vector<double> mean(kPixels);
        for (int64_t j = 0; j < kDraws; ++j) {
          fill_normal(z.data(), kPixels, seed_of(kSeed, Draw::mean_start), uint64_t(mask), uint64_t(j));
          for (size_t i = 0; i < size_t(kPixels); ++i) {
            const double bare = 0.8 * double(z[i]) + 0.01 * double(last), answer = bare - guidance * 0.2 * c;
            const double x0 = prediction == Prediction::eps ? (double(z[i]) - sigma * answer) / alpha
                              : prediction == Prediction::v ? alpha * double(z[i]) - sigma * answer
                                                            : answer;
            mean[i] += std::clamp(x0, -1.0, 1.0) / double(kDraws);
          }
        }
        fill_normal(x_T.data(), kPixels, kSeed, uint64_t(index), 0);
        job.noise(index, 0, x.data(), kPixels);
        for (size_t i = 0; i < size_t(kPixels); ++i)
          EXPECT_NEAR(
              x[i],
              s.sqrt_alphas_cumprod[size_t(t)] * mean[i] + s.sqrt_one_minus_alphas_cumprod[size_t(t)] * double(x_T[i]),
              2e-5)
              << name_of(prediction) << " " << guidance << " trajectory " << index;
        job.noise(index, 2, x.data(), kPixels);  // later noise is the seed's
        fill_normal(z.data(), kPixels, kSeed, uint64_t(index), 2);
        EXPECT_EQ(x, z);
      }
    }
}

TEST(MeanStart, BatchShardsAndThreadsChangeNothing) {
  SamplerJob job = started(low_job(posthoc_policy()));
  job.batch = 1;
  const Outcome one = run(job), without = run(low_job(posthoc_policy()));
  EXPECT_NE(one.records[0].image.pixels, without.records[0].image.pixels);
  const auto expect_same = [&](const Outcome& other) {
    for (const SampleRecord& record : other.records) {
      EXPECT_EQ(record.image.pixels, one.records[size_t(record.index)].image.pixels) << record.index;
      EXPECT_EQ(record.final_score, one.records[size_t(record.index)].final_score);
    }
  };
  for (const int64_t batch : {3, 8, 64}) {
    job = started(low_job(posthoc_policy()));
    job.batch = batch;
    const Outcome many = run(job);
    EXPECT_EQ(many.records.size(), one.records.size());
    EXPECT_EQ(many.totals.unet_calls, one.totals.unet_calls);
    expect_same(many);
  }
  const int before = thread_count();
  set_thread_count(3);
  expect_same(run(started(low_job(posthoc_policy()))));
  set_thread_count(before);
  for (const int64_t shards : {2, 3, 4})
    for (int64_t shard = 0; shard < shards; ++shard) {
      job = started(low_job(posthoc_policy()));
      job.shards = shards;
      job.shard = shard;
      expect_same(run(job));
    }
}

TEST(MeanStart, EachMaskIsAskedOnceAndItsCallsCount) {
  std::multiset<float> asked;  // what is at T - 1, by mask
  const Network counting = [&](const Tensor& x, const Tensor& t, const Tensor& condition) {
    for (int64_t n = 0; n < x.dim(0); ++n) {
      EXPECT_EQ(t.data<int64_t>()[n], kT - 1);
      asked.insert(condition.data<float>()[n * kPixels * 2]);
    }
    return fake_network(x, t, condition);
  };
  const Outcome all = run(started(low_job(none_policy()), counting));
  EXPECT_EQ(asked.size(), size_t(3 * kDraws));
  for (const float mask : {0.0f, 1.0f, 0.5f}) EXPECT_EQ(asked.count(mask), size_t(kDraws));
  EXPECT_EQ(all.totals.unet_calls, 30 * kSteps + 3 * kDraws);
  EXPECT_EQ(all.totals.mean_start_calls, 3 * kDraws);
  for (const SampleRecord& record : all.records) {
    EXPECT_EQ(record.mean_start_calls, record.index < 3 ? kDraws : 0);
    EXPECT_EQ(record.unet_calls, kSteps + record.mean_start_calls);
  }
  const SamplerJob guided = started(low_job(none_policy(), 2));
  EXPECT_EQ(run(guided).totals.mean_start_calls, 2 * 3 * kDraws);
  // A shard pays for every mask it has, two of three shards of one mask each for nothing but their own.
  for (const int64_t shards : {2, 3}) {
    SamplerJob job = started(low_job(none_policy()));
    job.shards = shards;
    EXPECT_EQ(run(job).totals.mean_start_calls, shards == 2 ? 3 * kDraws : kDraws);
  }
}

TEST(MeanStart, WhatIsKnownIsNotAskedAgainAndCountsAsBefore) {
  const Outcome whole = run(started(low_job(posthoc_policy())));
  KnownRecords known;
  for (int64_t i = 0; i < 29; ++i) known[i] = whole.records[size_t(i)];
  int64_t asked = 0;
  const Network counting = [&](const Tensor& x, const Tensor& t, const Tensor& condition) {
    asked += x.dim(0);
    return fake_network(x, t, condition);
  };
  const SamplerJob job = started(low_job(posthoc_policy()), counting);
  Outcome again;
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) { again.records.push_back(record); };
  again.totals = run_sampler(job, fake_network, fake_judge, hooks, known);
  EXPECT_EQ(asked, kDraws);  // of trajectory 29's mask
  EXPECT_EQ(again.totals.unet_calls, whole.totals.unet_calls);
  EXPECT_EQ(again.totals.mean_start_calls, whole.totals.mean_start_calls);
  ASSERT_EQ(again.records.size(), whole.records.size());
  for (size_t i = 0; i < whole.records.size(); ++i) {
    EXPECT_EQ(again.records[i].image.pixels, whole.records[i].image.pixels);
    EXPECT_EQ(again.records[i].unet_calls, whole.records[i].unet_calls);
  }
}

}  // namespace
}  // namespace echodiff
