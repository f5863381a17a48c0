// The scale-normalised Laplacian of a Gaussian: sigma^2 (d2/dx2 + d2/dy2) G_sigma * I   (Lindeberg 1998). Bright spots
// of that size come out dark. As sigma^2 scipy.ndimage.gaussian_laplace(I, sigma, mode="mirror"): taps up to 4 sigma,
// the smoothing ones summing to 1, (x^2 / sigma^4 - 1 / sigma^2) times these for the second derivative, borders
// reflected without repeating the edge (reflect-101).
#pragma once

#include <vector>

#include "tensor/io/gray_image.h"

namespace echodiff {

// (height, width), in grey levels; sigma in pixels, above 0.
std::vector<double> laplacian_of_gaussian(const GrayImage& image, double sigma);

}  // namespace echodiff
