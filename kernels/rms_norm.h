// y = x / max(||x||_2 over channels, 1e-12) * gain * sqrt(C), per pixel: lucidrains' RMSNorm (no mean, no eps inside
// the root; F.normalize's floor instead). x is (pixels, C), gain (C).
#pragma once

#include <cstdint>

#include "kernels/elementwise.h"

namespace echodiff {

namespace reference {
// inverse_norm (pixels)
template <class T> void rms_norm_forward(int64_t pixels, int64_t C, const T* x, const T* gain, T* y, T* inverse_norm);
template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const T* gain, const T* inverse_norm, const T* dy, T* dx,
                       T* dgain);
// y = silu((1 + s) rms_norm(x) + shift); modulation (N, 2C) = s | shift, or null for y = silu(rms_norm(x)).
template <class T>
void rms_norm_silu_forward(const ChannelGeometry&, const T* x, const T* gain, const T* modulation, T* y,
                           T* inverse_norm);
template <class T>
void rms_norm_silu_backward(const ChannelGeometry&, const T* x, const T* gain, const T* modulation,
                            const T* inverse_norm, const T* dy, T* dx, T* dgain, T* dmodulation);
}  // namespace reference

namespace cpu {
// In double, the reference.
using reference::rms_norm_backward;
using reference::rms_norm_forward;
using reference::rms_norm_silu_backward;
using reference::rms_norm_silu_forward;
void rms_norm_forward(int64_t pixels, int64_t C, const float* x, const float* gain, float* y, float* inverse_norm);
void rms_norm_backward(int64_t pixels, int64_t C, const float* x, const float* gain, const float* inverse_norm,
                       const float* dy, float* dx, float* dgain);
void rms_norm_silu_forward(const ChannelGeometry&, const float* x, const float* gain, const float* modulation, float* y,
                           float* inverse_norm);
void rms_norm_silu_backward(const ChannelGeometry&, const float* x, const float* gain, const float* modulation,
                            const float* inverse_norm, const float* dy, float* dx, float* dgain, float* dmodulation);
}  // namespace cpu

namespace cuda {
template <class T>
void rms_norm_forward(int64_t pixels, int64_t C, const T* x, const float* gain, T* y, float* inverse_norm, Stream);
int64_t rms_norm_backward_scratch(int64_t pixels, int64_t C);  // floats
template <class T>
void rms_norm_backward(int64_t pixels, int64_t C, const T* x, const float* gain, const float* inverse_norm, const T* dy,
                       T* dx, float* dgain, float* scratch, Stream);  // dx may be dy
template <class T>
void rms_norm_silu_forward(const ChannelGeometry&, const T* x, const float* gain, const T* modulation, T* y,
                           float* inverse_norm, Stream);
int64_t rms_norm_silu_backward_scratch(const ChannelGeometry&);  // floats
template <class T>
void rms_norm_silu_backward(const ChannelGeometry&, const T* x, const float* gain, const T* modulation,
                            const float* inverse_norm, const T* dy, T* dx, float* dgain, T* dmodulation, float* scratch,
                            Stream);
}  // namespace cuda
}  // namespace echodiff
