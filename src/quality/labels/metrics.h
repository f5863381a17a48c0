// Picture quality from grey levels, equations (1)-(3) of the paper (section 5.2).
//
//   sharpness = Var(Laplacian * I)         (1)   grey levels^2; kernel [0 1 0; 1 -4 1; 0 1 0], population variance
//   contrast  = standard deviation of I    (2)   grey levels
//   noise     = mean |I - G_sigma * I|     (3)   grey levels; Gaussian cut at 4 sigma and normalised
//
// The paper doesn't state intensity scale, kernel, border, sigma or region. Here: I = pixels * scale / 255, borders
// reflected without repeating the edge (reflect-101), sigma 0.5, the whole picture or the pixels of a region.
// White noise of standard deviation s adds 20 s^2 to the sharpness (4^2 + 4 * 1^2).
#pragma once

#include "tensor/io/png.h"

namespace echodiff {

struct Metrics {
  double sharpness = 0, contrast = 0, noise = 0;
};

struct MetricOptions {
  double sigma = 0.5;  // pixels
  double scale = 255;  // what white is
};

// `region`: statistics are taken over its non-zero pixels only; the filters still see the whole picture. Throws Error
// (kBadInput) when the picture is smaller than 2x2, or the region has another size or no pixel.
Metrics measure(const GrayImage& image, const MetricOptions& options = {}, const GrayImage* region = nullptr);

}  // namespace echodiff
