// y = x / max(||x||_2 over channels, 1e-12) * gain * sqrt(C), per pixel: lucidrains' RMSNorm (no mean, no eps inside the
// root; F.normalize's floor instead). x is (pixels, C), gain (C).
#pragma once

#include <cstdint>

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
}  // namespace echodiff
