// Sinusoids of the time step: sin(t f_i) and cos(t f_i)               Vaswani et al. 2017, Ho et al. 2020
//   f_i = exp(-i ln(max_period) / (half - freq_shift)), half = dim / 2
// Computed in float with PyTorch's roundings: at t = 2000 the argument t f_i is off by up to 1e-4 in float, and a
// network trained there has seen those values. The two families of code round f_i differently:
//   lucidrains:                                 exp(float(i) * float(-ln P / (half - shift)))
//   guided-diffusion, diffusers (divide_last):  exp(float(-ln P) * float(i) / float(half - shift))
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct TimeEmbeddingGeometry {
  int64_t N, dim;
  double max_period, freq_shift;
  bool cos_first;  // cos | sin instead of sin | cos
  bool divide_last;
};

namespace reference {

// t (N) -> y (N, dim); the last column of an odd dim is 0.
void time_embedding(TimeEmbeddingGeometry geo, const int64_t* t, float* y);

}  // namespace reference

namespace cuda {
void time_embedding(TimeEmbeddingGeometry geo, const int64_t* t, float* y, Stream);
}  // namespace cuda
}  // namespace echodiff
