// y = x / max(||x||_2 over channels, 1e-12) * gain * sqrt(C), per pixel: lucidrains' RMSNorm (no mean, no eps inside the
// root; F.normalize's floor instead). x is (pixels, C), gain (C).
#pragma once

#include <cstdint>

#include "kernels/cuda/epilogue.h"

namespace echodiff {

namespace reference {
template <class T>
void rms_norm_forward(int64_t pixels, int64_t C, const T* x, const T* gain, T* y, T* inverse_norm);  // inverse_norm (pixels)
template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const T* gain, const T* inverse_norm, const T* dy, T* dx, T* dgain);
}  // namespace reference

namespace cpu {
void rms_norm_forward(int64_t pixels, int64_t C, const float* x, const float* gain, float* y, float* inverse_norm);
void rms_norm_backward(int64_t pixels, int64_t C, const float* x, const float* gain, const float* inverse_norm, const float* dy,
                       float* dx, float* dgain);
inline void rms_norm_forward(int64_t pixels, int64_t C, const double* x, const double* gain, double* y, double* inverse_norm) {
  reference::rms_norm_forward(pixels, C, x, gain, y, inverse_norm);
}
inline void rms_norm_backward(int64_t pixels, int64_t C, const double* x, const double* gain, const double* inverse_norm,
                              const double* dy, double* dx, double* dgain) {
  reference::rms_norm_backward(pixels, C, x, gain, inverse_norm, dy, dx, dgain);
}
}  // namespace cpu

namespace cuda {
// pixels_of_sample: H W, for the epilogue's (N, 2C)
template <class T>
void rms_norm_forward(int64_t pixels, int64_t pixels_of_sample, int64_t C, const T* x, const float* gain, const NormEpilogue<T>&,
                      T* y, float* inverse_norm, Stream);
int64_t rms_norm_backward_scratch(int64_t pixels, int64_t C);  // floats
// Of the norm alone: dy is the gradient before the epilogue.
template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const float* gain, const float* inverse_norm, const T* dy, T* dx,
                       float* dgain, float* scratch, Stream);
}  // namespace cuda
}  // namespace echodiff
