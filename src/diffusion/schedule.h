// The noise schedule: betas over T steps and everything derived from them, in float64.
//
//   q(x_t | x_0) = N(sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I),  alpha_bar_t = prod_{s<=t} (1 - beta_s)
//
//   linear   beta from 1e-4 to 0.02 at T = 1000, scaled by 1000/T          Ho et al. 2020 (arXiv:2006.11239)
//   cosine   alpha_bar = cos^2((t/T + s) / (1 + s) pi/2), s = 0.008        Nichol & Dhariwal 2021 (arXiv:2102.09672)
//   sigmoid  alpha_bar from sigmoid(-3) to sigmoid(3)                      Jabri et al. 2022 (arXiv:2212.11972)
//
// Larger pictures show the same structure through more noise, as neighbouring pixels say it together. A shift d adds
// to each log SNR, log(alpha_bar / (1 - alpha_bar)); log_snr_shift() says which one a size needs (Hoogeboom et al.
// 2023, arXiv:2301.11093). Below 0 the last step is nearer to pure noise than without, up to the largest beta allowed.
// Above 0 it holds e^d as much signal, of which sampling, which begins at noise, knows nothing.
//
// As denoising-diffusion-pytorch, which keeps these as float32 buffers: what computes with them rounds them to float
// where it matters to reproduce its pictures (q_sample, samplers).
// The sigmoid is that library's, whose two end points are rounded to float32 before use: a checkpoint trained there
// saw those betas. The exact ones differ by at most 2.6e-5 relative at T = 2000 (sigmoid_betas).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace echodiff {

enum class ScheduleKind { linear, cosine, sigmoid };
ScheduleKind parse_schedule(const std::string& name);  // throws Error(kUsage) naming the choices
std::string name_of(ScheduleKind kind);                // "linear", "cosine", "sigmoid"

// Every vector has T elements; index t is 0-based. prev at t = 0 is 1.
struct Schedule {
  int64_t T = 0;
  std::vector<double> betas, alphas, alphas_cumprod, alphas_cumprod_prev;
  std::vector<double> sqrt_alphas_cumprod, sqrt_one_minus_alphas_cumprod, log_one_minus_alphas_cumprod;
  std::vector<double> sqrt_recip_alphas_cumprod, sqrt_recipm1_alphas_cumprod;
  // q(x_{t-1} | x_t, x_0) = N(coef1 x_0 + coef2 x_t, posterior_variance I)
  std::vector<double> posterior_variance, posterior_log_variance_clipped;  // clipped: log(max(variance, 1e-20))
  std::vector<double> posterior_mean_coef1, posterior_mean_coef2;
  std::vector<double> snr;  // alpha_bar / (1 - alpha_bar)
};

// Throws Error(kUsage) unless 1 <= T <= 1,000,000 and |log_snr_shift| <= 14. Betas are at most 0.999 (the linear one
// reaches that for T <= 20, the others in their last step): from there on alpha_bar is larger than the shift says.
Schedule make_schedule(ScheduleKind kind, int64_t T, double log_snr_shift = 0);

// 2 log(base / size): the shift for pictures of `size` pixels a side of a schedule made for `base` pixels; base 0: 0.
double log_snr_shift(double base, int64_t size);
// The base of a shift: a whole number where one gives exactly that shift; 0 for none.
double base_of_shift(double log_snr_shift, int64_t size);

// Everything from given betas, each in (0, 1). Throws Error(kInternal) otherwise.
Schedule schedule_from_betas(const std::vector<double>& betas);

// The betas of the sigmoid schedule. `library`: end points rounded to float32, as denoising-diffusion-pytorch does.
std::vector<double> sigmoid_betas(int64_t T, bool library);

}  // namespace echodiff
