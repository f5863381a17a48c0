// Grids, and the solvers on them against diffusers' schedulers.
#include "diffusion/samplers/grid.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "diffusion/samplers/plan.h"
#include "kernels/error.h"
#include "tensor/ops.h"
#include "tests/golden.h"

namespace echodiff {
namespace {

struct Case {
  const char* name;
  ScheduleKind schedule;
  int64_t T, calls;
  GridKind kind;
};
// tests/golden/generator/solvers.py
const std::vector<Case> kCases{{"even8", ScheduleKind::linear, 50, 8, GridKind::even},
                               {"even20", ScheduleKind::cosine, 2000, 20, GridKind::even},
                               {"logsnr5", ScheduleKind::cosine, 2000, 5, GridKind::logsnr},
                               {"logsnr12", ScheduleKind::linear, 1000, 12, GridKind::logsnr},
                               {"rho6", ScheduleKind::cosine, 2000, 6, GridKind::rho},
                               {"two", ScheduleKind::cosine, 1000, 2, GridKind::logsnr},
                               {"one", ScheduleKind::linear, 1000, 1, GridKind::logsnr}};

// Row i of a recorded (K, 2, 1, H, W), as (2, 1, H, W).
Tensor row(const Tensor& recorded, int64_t i) {
  return reshape(slice(recorded, 0, i, i + 1), {recorded.dim(1), 1, recorded.dim(3), recorded.dim(4)});
}

TEST(SolversGolden, EachStepIsDiffusers) {
  for (const char* sampler : {"dpmpp", "unipc"}) {
    const GoldenFile golden(std::string("solvers/") + sampler + ".safetensors");
    for (const Case& each : kCases) {
      const std::string where = std::string(sampler) + " " + each.name, key = std::string(each.name) + "/";
      const Tensor x = golden.at(key + "x"), eps = golden.at(key + "eps"), times = golden.at(key + "times");
      SamplerOptions options{.sampler = sampler, .steps = each.calls, .grid = {.kind = each.kind}, .clip = false};
      const SamplingPlan plan = make_plan(make_schedule(each.schedule, each.T), options);
      ASSERT_EQ(plan.count(), each.calls) << where;
      std::vector<SampleState> states(2);
      for (int64_t i = 0; i < plan.count(); ++i) {
        ASSERT_EQ(plan.steps[size_t(i)].t, times.data<int64_t>()[i]) << where << " step " << i;
        for (int64_t n = 0; n < 2; ++n) states[size_t(n)].x = slice(row(x, i), 0, n, n + 1);
        take_steps({{&plan, &states[0]}, {&plan, &states[1]}}, row(eps, i));
        const Tensor wanted = row(x, i + 1);
        double worst = 0, largest = 1e-3;
        for (int64_t n = 0; n < 2; ++n)
          for (int64_t k = 0; k < wanted.count() / 2; ++k) {
            const double expected = double(wanted.data<float>()[n * wanted.count() / 2 + k]);
            worst = std::max(worst, std::abs(expected - double(states[size_t(n)].x.data<float>()[k])));
            largest = std::max(largest, std::abs(expected));
          }
        // x0_hat is a difference of two terms so much larger than itself, the oldest of the three most; and their
        // tables of alpha_bar are float32 products of T factors.
        const double allowed =
            1e-5 * double(1 + plan.steps[size_t(std::max<int64_t>(i - 2, 0))].sqrt_recipm1_alpha_bar);
        ASSERT_LT(worst / largest, allowed) << where << " step " << i;
      }
    }
  }
}

TEST(Grid, MeasuredTimesOfFiveCalls) {  // by which the numbers of docs/design/sampling.md were measured
  const Schedule schedule = make_schedule(ScheduleKind::cosine, 2000);
  EXPECT_EQ(grid_times(schedule, {.kind = GridKind::logsnr}, 5), (std::vector<int64_t>{1900, 1648, 980, 323, 80}));
  EXPECT_EQ(grid_times(schedule, {.kind = GridKind::even, .start = 0.5, .end = 0.1}, 3),
            (std::vector<int64_t>{1000, 600, 200}));
  EXPECT_EQ(grid_times(schedule, {.kind = GridKind::given, .times = {7, 3}}, 2), (std::vector<int64_t>{7, 3}));
}

TEST(Grid, AllTimesAreAGridToo) {
  const Schedule schedule = make_schedule(ScheduleKind::linear, 12);
  const std::vector<int64_t> times = grid_times(schedule, {.kind = GridKind::even}, 12);
  ASSERT_EQ(times.size(), 12u);
  EXPECT_EQ(times.front(), 11);
  EXPECT_EQ(times.back(), 0);
}

TEST(Grid, WhatDoesNotFitIsRefused) {
  const Schedule schedule = make_schedule(ScheduleKind::cosine, 100);
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::logsnr}, 90), Error);  // two steps at one time
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::logsnr, .start = 0.1, .end = 0.2}, 3), Error);
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::rho, .start = 1.5}, 3), Error);
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::given, .times = {3, 7}}, 2), Error);
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::given, .times = {100}}, 1), Error);
  EXPECT_THROW(grid_times(schedule, {.kind = GridKind::given, .times = {7, 3}}, 3), Error);
  EXPECT_THROW(make_plan(schedule, {.sampler = "ddpm", .steps = 5, .grid = {.kind = GridKind::logsnr}}), Error);
  EXPECT_THROW(parse_grid_kind("log-snr"), Error);
}

TEST(Grid, DdimVisitsItAndEndsAtX0) {
  const Schedule schedule = make_schedule(ScheduleKind::cosine, 2000);
  const SamplingPlan plan =
      make_plan(schedule, {.sampler = "ddim", .steps = 5, .grid = {.kind = GridKind::logsnr}, .clip = false});
  ASSERT_EQ(plan.count(), 5);
  EXPECT_EQ(plan.steps[0].t, 1900);
  EXPECT_EQ(plan.steps[4].t, 80);
  EXPECT_EQ(plan.steps[4].next_t, -1);
  EXPECT_EQ(plan.steps[4].from_x_start, 1);
}

}  // namespace
}  // namespace echodiff
