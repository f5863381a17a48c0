// Grey pictures: their size, their values as tensors, and simple changes.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/io/png.h"
#include "tensor/tensor.h"

namespace echodiff {

// The picture at `width` x `height` pixels, each the mean grey of the area it covers in `image`, partly covered pixels
// weighted by their share (a box average; the same size gives the same picture, and enlarging blends at pixel edges).
// The aspect ratio is not kept. Throws Error kInternal for an empty picture or size.
GrayImage resize_area(const GrayImage& image, int64_t width, int64_t height);

// The picture at `width` x `height` pixels, each the value at its centre in `image`: invents no new value, for masks.
GrayImage resize_nearest(const GrayImage& image, int64_t width, int64_t height);

// Between 8-bit grey and the networks' [-1, 1]: round(clamp((x + 1) / 2) * 255), and back.
GrayImage to_gray(const float* x, int64_t height, int64_t width);
void from_gray(const GrayImage& image, float* x);
// Pictures of one size as (N, 1, H, W).
Tensor to_tensor(const std::vector<const GrayImage*>& images);
std::vector<const GrayImage*> pointers_to(const std::vector<GrayImage>& images);

// The picture seen in a mirror, left for right.
GrayImage mirrored(const GrayImage& image);

// Rounded, and clamped to 0..255.
uint8_t to_byte(double grey);

// Blurred with a Gaussian of standard deviation `sigma` pixels, borders clamped.
GrayImage gaussian_blur(const GrayImage& image, double sigma);

}  // namespace echodiff
