// The power spectrum of a picture by bands of spatial frequency: where a sampler loses speckle, its finest bands fall.
//
//   P(fy, fx) = |DFT(w (I - m))|^2 / sum w^2     the periodogram, grey levels^2; that of white noise is its variance
//
// w is a Hann window of both directions, without which the borders would leak along both axes; m the mean of I under w.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/io/gray_image.h"

namespace echodiff {

// Rings of the frequency plane, sqrt(fy^2 + fx^2) up to these, in cycles per pixel: sixteenths of the sampling
// frequency. Frequency 0 and the corners beyond one half belong to none.
inline constexpr int64_t kBands = 8;
constexpr double band_end(int64_t band) { return double(band + 1) / 16; }

// The mean of P over each band; NaN for a band that a small picture has no frequency in. Pictures of any size, odd or
// not square; throws Error(kInternal) for an empty one.
std::array<double, kBands> band_powers(const GrayImage& image);

}  // namespace echodiff
