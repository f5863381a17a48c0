// The forward process and the training objective (Ho et al. 2020; section 5.1 of the paper).
//
//   x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps                          q_sample
//   v_t = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0                          Salimans & Ho 2022
// The paper's section 5.3 prints sqrt(1 - alpha_t) in place of sqrt(1 - alpha_bar_t): a misprint (7 times too large at
// t = 100, 14 times at t = 500 of T = 2000, linear).
// Tables are rounded to float32 before use, as denoising-diffusion-pytorch's buffers.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "diffusion/schedule.h"
#include "kernels/sampler_update.h"
#include "tensor/tensor.h"

namespace echodiff {

Prediction parse_prediction(const std::string& name);  // throws Error(kUsage) naming the choices
std::string name_of(Prediction prediction);            // "eps", "v", "x0"

// x_0 and noise (N, C, H, W) f32 on any device, t (N) i64 in 0..T-1 on the CPU -> x_t (N, C, H, W). Not differentiable.
// Error(kInternal) for shapes that don't fit or t out of range.
Tensor q_sample(const Schedule& schedule, const Tensor& x_0, const Tensor& t, const Tensor& noise);

// What the network should answer at (x_t, t): noise, v or x_0, (N, C, H, W).
Tensor training_target(const Schedule& schedule, Prediction prediction, const Tensor& x_0, const Tensor& t,
                       const Tensor& noise);

constexpr double kNoMinSnr = std::numeric_limits<double>::infinity();

// Weight of a sample's loss at t (N) -> (N) f32: 1 for eps, snr for x0, snr / (snr + 1) for v, each times
// min(snr, gamma) / snr (Hang et al. 2023, arXiv:2303.09556; gamma 5 is theirs, kNoMinSnr switches it off).
Tensor loss_weights(const Schedule& schedule, Prediction prediction, const Tensor& t, double min_snr_gamma = kNoMinSnr);

// The weighted squared error of each sample, averaged over its pixels: (N). Differentiable in `output`.
Tensor loss_per_sample(const Schedule& schedule, Prediction prediction, const Tensor& output, const Tensor& target,
                       const Tensor& t, double min_snr_gamma = kNoMinSnr);
// Its mean over the batch: scalar.
Tensor diffusion_loss(const Schedule& schedule, Prediction prediction, const Tensor& output, const Tensor& target,
                      const Tensor& t, double min_snr_gamma = kNoMinSnr);

}  // namespace echodiff
