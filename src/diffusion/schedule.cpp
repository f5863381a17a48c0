#include "diffusion/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr double kMaxBeta = 0.999;

std::vector<double> linear_betas(int64_t T) {
  const double scale = 1000.0 / double(T), first = scale * 0.0001, last = scale * 0.02;
  std::vector<double> betas(static_cast<size_t>(T));
  for (int64_t t = 0; t < T; ++t)
    betas[size_t(t)] = std::min(kMaxBeta, T == 1 ? first : first + (last - first) * double(t) / double(T - 1));
  return betas;
}

// beta_t = 1 - alpha_bar_{t+1} / alpha_bar_t for alpha_bar given at the T + 1 edges of the steps.
std::vector<double> betas_from_edges(const std::vector<double>& alpha_bar) {
  std::vector<double> betas(alpha_bar.size() - 1);
  for (size_t t = 0; t < betas.size(); ++t) betas[t] = std::clamp(1 - alpha_bar[t + 1] / alpha_bar[t], 0.0, kMaxBeta);
  return betas;
}

std::vector<double> cosine_betas(int64_t T) {
  constexpr double s = 0.008;
  std::vector<double> alpha_bar(static_cast<size_t>(T + 1));
  for (int64_t i = 0; i <= T; ++i) {
    const double cosine = std::cos((double(i) / double(T) + s) / (1 + s) * std::numbers::pi * 0.5);
    alpha_bar[size_t(i)] = cosine * cosine;
  }
  const double first = alpha_bar[0];
  for (double& value : alpha_bar) value /= first;
  return betas_from_edges(alpha_bar);
}

// With s = e^shift and r = 1 - alpha_bar the shifted alpha_bar' is s alpha_bar / (s alpha_bar + r). In
// 1 - alpha_bar'_t / alpha_bar'_{t-1} everything of t-1 goes out: beta'_t = beta_t / (s alpha_bar_t + r_t).
std::vector<double> shifted(const std::vector<double>& betas, double shift) {
  std::vector<double> out;
  double alpha_bar = 1;
  for (const double beta : betas) {
    alpha_bar *= 1 - beta;
    out.push_back(std::min(kMaxBeta, beta / (1 + std::expm1(shift) * alpha_bar)));
  }
  return out;
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

std::vector<double> sigmoid_betas(int64_t T, bool library) {
  constexpr double start = -3, end = 3;
  const double v_start = library ? double(float(sigmoid_of(start))) : sigmoid_of(start);
  const double v_end = library ? double(float(sigmoid_of(end))) : sigmoid_of(end);
  const double range = library ? double(float(v_end) - float(v_start)) : v_end - v_start;
  std::vector<double> alpha_bar(static_cast<size_t>(T + 1));
  for (int64_t i = 0; i <= T; ++i)
    alpha_bar[size_t(i)] = (v_end - sigmoid_of(double(i) / double(T) * (end - start) + start)) / range;
  const double first = alpha_bar[0];
  for (double& value : alpha_bar) value /= first;
  return betas_from_edges(alpha_bar);
}

ScheduleKind parse_schedule(const std::string& name) {
  if (name == "linear") return ScheduleKind::linear;
  if (name == "cosine") return ScheduleKind::cosine;
  check_input(name == "sigmoid", Fault::kUsage, "schedule: expected linear, cosine or sigmoid, found '", name, "'");
  return ScheduleKind::sigmoid;
}

std::string name_of(ScheduleKind kind) {
  return kind == ScheduleKind::linear ? "linear" : kind == ScheduleKind::cosine ? "cosine" : "sigmoid";
}

double log_snr_shift(double base, int64_t size) { return base > 0 ? 2 * std::log(base / double(size)) : 0; }

double base_of_shift(double shift, int64_t size) {
  if (shift == 0) return 0;
  const double base = double(size) * std::exp(shift / 2), whole = std::round(base);
  return log_snr_shift(whole, size) == shift ? whole : base;
}

Schedule make_schedule(ScheduleKind kind, int64_t T, double log_snr_shift) {
  check_input(T >= 1 && T <= 1000000, Fault::kUsage, "schedule: T must be 1 to 1000000 steps, found ", T);
  check_input(std::abs(log_snr_shift) <= 14, Fault::kUsage, "schedule: a shift of log-SNR must be -14 to 14, found ",
              log_snr_shift);
  const std::vector<double> betas = kind == ScheduleKind::linear   ? linear_betas(T)
                                    : kind == ScheduleKind::cosine ? cosine_betas(T)
                                                                   : sigmoid_betas(T, true);
  return schedule_from_betas(log_snr_shift == 0 ? betas : shifted(betas, log_snr_shift));
}

Schedule schedule_from_betas(const std::vector<double>& betas) {
  Schedule s;
  s.T = int64_t(betas.size());
  s.betas = betas;
  double product = 1;
  for (const double beta : betas) {
    check(beta > 0 && beta < 1, "schedule: every beta must lie in (0, 1), found ", beta);
    const double alpha = 1 - beta, before = product;
    product *= alpha;
    const double rest = 1 - product, rest_before = 1 - before;
    s.alphas.push_back(alpha);
    s.alphas_cumprod.push_back(product);
    s.alphas_cumprod_prev.push_back(before);
    s.sqrt_alphas_cumprod.push_back(std::sqrt(product));
    s.sqrt_one_minus_alphas_cumprod.push_back(std::sqrt(rest));
    s.log_one_minus_alphas_cumprod.push_back(std::log(rest));
    s.sqrt_recip_alphas_cumprod.push_back(std::sqrt(1 / product));
    s.sqrt_recipm1_alphas_cumprod.push_back(std::sqrt(1 / product - 1));
    const double variance = beta * rest_before / rest;
    s.posterior_variance.push_back(variance);
    s.posterior_log_variance_clipped.push_back(std::log(std::max(variance, 1e-20)));
    s.posterior_mean_coef1.push_back(beta * std::sqrt(before) / rest);
    s.posterior_mean_coef2.push_back(rest_before * std::sqrt(alpha) / rest);
    s.snr.push_back(product / rest);
  }
  return s;
}

}  // namespace echodiff
