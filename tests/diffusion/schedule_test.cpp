// Schedules and respacing: every golden table, the misprint of the paper's section 5.3, and the grids.
#include "diffusion/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/respace.h"
#include "tensor/io/safetensors.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

void expect_table(const SafetensorsFile& golden, const std::string& key, const std::vector<double>& values) {
  const std::vector<double> expected = golden.at(key).to_vector();
  ASSERT_EQ(values.size(), expected.size()) << key;
  for (size_t t = 0; t < values.size(); ++t)
    ASSERT_NEAR(values[t], expected[t], 1e-10 * std::abs(expected[t]) + 1e-14) << key << " at t = " << t;
}

TEST(ScheduleGolden, EveryTableMatches) {
  const SafetensorsFile golden = read_safetensors(golden_path("schedules/schedules.safetensors").string());
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::sigmoid}) {
    for (const int64_t T : {50, 1000, 2000}) {
      const Schedule s = make_schedule(kind, T);
      const std::string name = name_of(kind) + "_" + std::to_string(T) + "/";
      expect_table(golden, name + "betas", s.betas);
      expect_table(golden, name + "alphas", s.alphas);
      expect_table(golden, name + "alphas_cumprod", s.alphas_cumprod);
      expect_table(golden, name + "alphas_cumprod_prev", s.alphas_cumprod_prev);
      expect_table(golden, name + "sqrt_alphas_cumprod", s.sqrt_alphas_cumprod);
      expect_table(golden, name + "sqrt_one_minus_alphas_cumprod", s.sqrt_one_minus_alphas_cumprod);
      expect_table(golden, name + "log_one_minus_alphas_cumprod", s.log_one_minus_alphas_cumprod);
      expect_table(golden, name + "sqrt_recip_alphas_cumprod", s.sqrt_recip_alphas_cumprod);
      expect_table(golden, name + "sqrt_recipm1_alphas_cumprod", s.sqrt_recipm1_alphas_cumprod);
      expect_table(golden, name + "posterior_variance", s.posterior_variance);
      expect_table(golden, name + "posterior_log_variance_clipped", s.posterior_log_variance_clipped);
      expect_table(golden, name + "posterior_mean_coef1", s.posterior_mean_coef1);
      expect_table(golden, name + "posterior_mean_coef2", s.posterior_mean_coef2);
      expect_table(golden, name + "snr", s.snr);
    }
  }
  for (const int64_t T : {50, 1000, 2000})
    expect_table(golden, "sigmoid_exact_" + std::to_string(T) + "/betas", sigmoid_betas(T, false));
}

TEST(Schedule, EveryKindWorksForFewSteps) {
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::sigmoid})
    for (const int64_t T : {1, 2, 3, 10, 20, 21}) {
      const Schedule s = make_schedule(kind, T);
      for (int64_t t = 0; t < T; ++t) EXPECT_TRUE(std::isfinite(s.sqrt_recipm1_alphas_cumprod[size_t(t)]));
    }
}

TEST(ScheduleShift, IsAddedToEveryLogSnr) {
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::sigmoid})
    for (const int64_t T : {50, 1000, 2000})
      for (const int64_t size : {32, 96, 128, 256}) {
        const double shift = log_snr_shift(64, size);
        EXPECT_DOUBLE_EQ(shift, 2 * std::log(64.0 / double(size)));
        const Schedule plain = make_schedule(kind, T), shifted = make_schedule(kind, T, shift);
        int64_t largest = 0;  // betas that the shift asks more of than a beta may be
        for (size_t t = 0; t < size_t(T); ++t) {
          const double expected = std::log(plain.snr[t]) + shift, found = std::log(shifted.snr[t]);
          largest += shifted.betas[t] == 0.999;
          ASSERT_GT(found, expected - 1e-9) << name_of(kind) << " " << T << " to " << size << " at " << t;
          ASSERT_LT(found, expected + (largest == 0 ? 1e-9 : 0.01)) << name_of(kind) << " " << T << " at " << t;
        }
        EXPECT_LE(largest, kind == ScheduleKind::linear ? 0 : 1) << name_of(kind) << " " << T << " to " << size;
      }
}

TEST(ScheduleShift, OfNothingChangesNoBit) {
  EXPECT_EQ(log_snr_shift(0, 128), 0);
  EXPECT_EQ(log_snr_shift(64, 64), 0);
  EXPECT_EQ(make_schedule(ScheduleKind::cosine, 100, 0).betas, make_schedule(ScheduleKind::cosine, 100).betas);
}

TEST(ScheduleShift, SaysItsBase) {
  EXPECT_EQ(base_of_shift(0, 128), 0);
  for (const int64_t base : {1, 32, 64, 100, 128, 4096})
    for (const int64_t size : {17, 32, 96, 256})
      EXPECT_EQ(base_of_shift(log_snr_shift(double(base), size), size), base == size ? 0 : double(base));
  EXPECT_NEAR(base_of_shift(log_snr_shift(64, 96), 100), 64 * 100 / 96.0, 1e-12);
}

TEST(ScheduleShift, StaysFiniteAtItsBounds) {
  for (const ScheduleKind kind : {ScheduleKind::linear, ScheduleKind::cosine, ScheduleKind::sigmoid})
    for (const int64_t T : {1, 2, 20, 1000, 100000})
      for (const double shift : {-14.0, 14.0}) {
        const Schedule s = make_schedule(kind, T, shift);
        for (size_t t = 0; t < size_t(T); ++t)
          ASSERT_TRUE(std::isfinite(s.posterior_mean_coef1[t]) && std::isfinite(std::log(s.snr[t]))) << T << " " << t;
      }
  EXPECT_THROW(make_schedule(ScheduleKind::linear, 10, 14.1), Error);
  EXPECT_THROW(make_schedule(ScheduleKind::linear, 10, std::nan("")), Error);
}

TEST(Schedule, PaperMisprintIsFarOff) {  // section 5.3 writes sqrt(1 - alpha_t) where 5.1 has sqrt(1 - alpha_bar_t)
  const Schedule s = make_schedule(ScheduleKind::linear, 2000);
  const auto ratio = [&](size_t t) { return s.sqrt_one_minus_alphas_cumprod[t - 1] / std::sqrt(1 - s.alphas[t - 1]); };
  EXPECT_NEAR(ratio(100), 7, 0.5);
  EXPECT_NEAR(ratio(500), 14, 0.5);
}

TEST(Respace, KeepsAlphaBar) {
  const Schedule s = make_schedule(ScheduleKind::cosine, 1000);
  const std::vector<int64_t> times = ddpm_times(1000, 25);
  const Schedule few = respace(s, times);
  ASSERT_EQ(few.T, 25);
  for (size_t i = 0; i < 25; ++i) EXPECT_NEAR(few.alphas_cumprod[24 - i], s.alphas_cumprod[size_t(times[i])], 1e-14);
  EXPECT_EQ(respace(s, ddpm_times(1000, 1000)).betas, s.betas);
}

TEST(Respace, Grids) {
  EXPECT_EQ(ddpm_times(10, 4), (std::vector<int64_t>{9, 6, 3, 0}));
  EXPECT_EQ(ddpm_times(10, 1), (std::vector<int64_t>{9}));
  EXPECT_EQ(ddim_times(9, 5), (std::vector<int64_t>{9, 7, 5, 3, 1, -1}));
  EXPECT_EQ(ddim_times(9, 10), (std::vector<int64_t>{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1}));
  EXPECT_EQ(dpmpp_times(10, 3), (std::vector<int64_t>{9, 6, 3}));
  EXPECT_THROW(ddpm_times(10, 11), Error);
  EXPECT_THROW(ddim_times(9, 0), Error);
  EXPECT_THROW(dpmpp_times(10, 10), Error);
}

}  // namespace
}  // namespace echodiff
