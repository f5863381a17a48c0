// A cheap network, judge and job for tests of what samples.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "quality/sampling/sampler.h"
#include "tensor/ops.h"

namespace echodiff {

constexpr int64_t kSize = 4, kPixels = kSize * kSize, kT = 20;

// eps = a function of x, t and the first plane of each pixel.
inline Tensor fake_network(const Tensor& x, const Tensor& t, const Tensor& condition) {
  Tensor out = empty_like(x);
  const int64_t planes = condition.dim(1);
  for (int64_t i = 0; i < x.count(); ++i)
    out.mutable_data<float>()[i] = 0.8f * x.data<float>()[i] + 0.01f * float(t.data<int64_t>()[i / kPixels]) -
                                   0.2f * condition.data<float>()[i * planes];
  return out;
}

// Deep features that only their own trajectory's whole calls can have left.
inline Tensor fake_caching_network(const Tensor& x, const Tensor& t, const Tensor& condition, Tensor& deep) {
  if (!deep) deep = fake_network(x, t, condition);
  return (deep + fake_network(x, t, condition)) * 0.5;
}

inline std::vector<double> fake_judge(const Tensor& images, const Tensor&, const Tensor&) {
  std::vector<double> scores;
  for (int64_t n = 0; n < images.dim(0); ++n) {
    double sum = 0;
    for (int64_t i = 0; i < kPixels; ++i) sum += double(images.data<float>()[n * kPixels + i]);
    scores.push_back(1 / (1 + std::exp(-3 * sum / kPixels)));
  }
  return scores;
}

inline SamplerJob fake_job(const Policy& policy) {
  SamplerJob job;
  job.plan = make_plan(make_schedule(ScheduleKind::linear, kT), {.sampler = "ddpm"});
  job.policy = policy;
  job.conditions = {full({1, 2, kSize, kSize}, 0), full({1, 2, kSize, kSize}, 1), full({1, 2, kSize, kSize}, 0.5)};
  job.noise = default_noise(7);
  job.count = 30;
  job.tau = 0.5;
  return job;
}

struct Outcome {
  std::vector<SampleRecord> records;
  SamplerTotals totals;
};

inline Outcome run(const SamplerJob& job) {
  Outcome outcome;
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) { outcome.records.push_back(record); };
  outcome.totals = run_sampler(job, fake_network, fake_judge, hooks);
  return outcome;
}

}  // namespace echodiff
