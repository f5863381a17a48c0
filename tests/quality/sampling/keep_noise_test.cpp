// --keep-noise: the kept picture is x0_hat + K (x_t / alpha - x0_hat) inside of the sector; judges see x0_hat.
#include <gtest/gtest.h>

#include "quality/sampling/policy/paper.h"
#include "quality/sampling/policy/posthoc.h"
#include "tests/quality/sampling/fake_sampling.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

TEST(KeepNoise, IsTheLastStepsInsideTheSector) {
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  SamplerJob job = fake_job(posthoc_policy());
  job.plan = make_plan(schedule, {.sampler = "unipc", .steps = 4, .grid = {.kind = GridKind::logsnr, .end = 0.3}});
  for (Tensor& condition : job.conditions) {  // the sector: the left half
    condition = condition.clone();
    for (int64_t i = 0; i < kPixels; ++i) condition.mutable_data<float>()[2 * i + 1] = i % kSize < kSize / 2 ? 1 : 0;
  }
  const Outcome plain = run(job);
  std::vector<std::vector<double>> x_t(size_t(job.count)), x0(size_t(job.count));  // of the last step
  SamplerHooks hooks;
  hooks.on_step = [&](const std::vector<Stepped>& steps) {
    for (const Stepped& one : steps) (one.step == 2 ? x_t : x0)[size_t(one.index)] = one.state->x.to_vector();
  };
  Outcome kept;
  hooks.on_record = [&](const SampleRecord& record) { kept.records.push_back(record); };
  job.keep_noise = 0.25;
  run_sampler(job, fake_network, fake_judge, hooks);
  ASSERT_EQ(kept.records.size(), plain.records.size());
  const double recip_alpha = schedule.sqrt_recip_alphas_cumprod[size_t(job.plan.steps[3].t)];
  for (size_t n = 0; n < plain.records.size(); ++n) {
    EXPECT_EQ(kept.records[n].final_score, plain.records[n].final_score);
    EXPECT_EQ(kept.records[n].decision, plain.records[n].decision);
    std::vector<float> expected;
    for (size_t i = 0; i < x0[n].size(); ++i) {
      const bool inside = i % size_t(kSize) < size_t(kSize) / 2;
      expected.push_back(float(x0[n][i] + (inside ? 0.25 * (x_t[n][i] * recip_alpha - x0[n][i]) : 0)));
    }
    const GrayImage image = to_gray(expected.data(), kSize, kSize);
    EXPECT_NE(image.pixels, plain.records[n].image.pixels);
    EXPECT_EQ(kept.records[n].scored.pixels, plain.records[n].image.pixels);
    for (size_t i = 0; i < image.pixels.size(); ++i)
      EXPECT_NEAR(int(kept.records[n].image.pixels[i]), int(image.pixels[i]), 1) << n;
  }
}

TEST(KeepNoise, BatchChangesNothingAndATailsLastStepCounts) {
  SamplerJob job = fake_job(paper_policy({.tau = 0.55, .window = 3, .delta = 0.002, .warm_up = 0.2, .every = 2}));
  const Schedule schedule = make_schedule(ScheduleKind::linear, kT);
  job.tail = [&](int64_t t) { return make_tail(schedule, {}, t, 2); };
  job.keep_noise = 1;
  const Outcome many = run(job);
  job.batch = 1;
  const Outcome one = run(job);
  ASSERT_EQ(many.records.size(), one.records.size());
  for (size_t i = 0; i < one.records.size(); ++i) EXPECT_EQ(many.records[i].image.pixels, one.records[i].image.pixels);
}

}  // namespace
}  // namespace echodiff
