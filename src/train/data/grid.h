// Pictures of how training stands: what the network makes of a few fixed masks.
#pragma once

#include <cstdint>
#include <vector>

#include "diffusion/diffusion.h"
#include "nn/denoiser.h"
#include "tensor/io/png.h"

namespace echodiff {

// Deterministic DDIM of `steps` steps from noise drawn by (seed, n) for each of the condition's N masks: (N, 1, H, W).
Tensor sample_grid(const Denoiser& network, const Schedule& schedule, Prediction prediction, const Tensor& condition,
                   uint64_t seed, int64_t steps);

// Entry n of x (N, 1, H, W) in [-1, 1] as 8-bit grey.
GrayImage gray_image(const Tensor& x, int64_t n);
// Entry n of condition (N, P, H, W): the sector dark, each other plane lighter than the one before.
GrayImage mask_image(const Tensor& condition, int64_t n);
// Equally large pictures in rows, two pixels apart.
GrayImage tile(const std::vector<std::vector<GrayImage>>& rows);

}  // namespace echodiff
