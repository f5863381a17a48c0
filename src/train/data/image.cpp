#include "train/data/image.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

// What one output position covers: source positions first, first + 1, ... with weights that add to 1.
struct Cover {
  int64_t first;
  std::vector<double> weights;
};

std::vector<Cover> covers(int64_t from, int64_t to) {
  std::vector<Cover> result;
  result.reserve(size_t(to));
  for (int64_t i = 0; i < to; ++i) {
    // In units of 1/to of a source pixel everything is an integer, so no rounding decides what is covered.
    const int64_t begin = i * from, end = begin + from;
    Cover cover{begin / to, {}};
    for (int64_t pixel = cover.first; pixel * to < end; ++pixel) {
      const int64_t overlap = std::min(end, (pixel + 1) * to) - std::max(begin, pixel * to);
      cover.weights.push_back(double(overlap) / double(from));
    }
    result.push_back(std::move(cover));
  }
  return result;
}

void check_sizes(const char* name, const GrayImage& image, int64_t width, int64_t height) {
  check(image.width > 0 && image.height > 0 && width > 0 && height > 0, name, ": from ", image.width, "x", image.height,
        " to ", width, "x", height, ", expected positive sizes");
}

}  // namespace

GrayImage resize_area(const GrayImage& image, int64_t width, int64_t height) {
  check_sizes("resize_area", image, width, height);
  if (image.width == width && image.height == height) return image;
  const std::vector<Cover> columns = covers(image.width, width), rows = covers(image.height, height);
  std::vector<double> narrow(size_t(image.height * width));  // (source height, width)
  for (int64_t row = 0; row < image.height; ++row) {
    const uint8_t* source = image.pixels.data() + row * image.width;
    for (int64_t column = 0; column < width; ++column) {
      const Cover& cover = columns[size_t(column)];
      double sum = 0;
      for (size_t k = 0; k < cover.weights.size(); ++k) sum += cover.weights[k] * source[cover.first + int64_t(k)];
      narrow[size_t(row * width + column)] = sum;
    }
  }
  GrayImage result{width, height, std::vector<uint8_t>(size_t(width * height))};
  std::vector<double> line(static_cast<size_t>(width));
  for (int64_t row = 0; row < height; ++row) {
    const Cover& cover = rows[size_t(row)];
    std::fill(line.begin(), line.end(), 0.0);
    for (size_t k = 0; k < cover.weights.size(); ++k) {
      const double* source = narrow.data() + (cover.first + int64_t(k)) * width;
      for (int64_t column = 0; column < width; ++column) line[size_t(column)] += cover.weights[k] * source[column];
    }
    for (int64_t column = 0; column < width; ++column) {
      // The tiny offset makes exact halves round up although the weights' sum may be 1 - 1e-16.
      result.at(row, column) = uint8_t(std::min(255.0, std::floor(line[size_t(column)] + 0.5 + 1e-9)));
    }
  }
  return result;
}

GrayImage resize_nearest(const GrayImage& image, int64_t width, int64_t height) {
  check_sizes("resize_nearest", image, width, height);
  GrayImage result{width, height, std::vector<uint8_t>(size_t(width * height))};
  for (int64_t row = 0; row < height; ++row) {
    const int64_t source_row = (2 * row + 1) * image.height / (2 * height);
    for (int64_t column = 0; column < width; ++column) {
      result.at(row, column) = image.at(source_row, (2 * column + 1) * image.width / (2 * width));
    }
  }
  return result;
}

GrayImage to_gray(const float* x, int64_t height, int64_t width) {
  GrayImage image{width, height, std::vector<uint8_t>(size_t(height * width))};
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = uint8_t(std::lround(std::clamp((x[i] + 1) / 2, 0.0f, 1.0f) * 255));
  return image;
}

void from_gray(const GrayImage& image, float* x) {
  for (size_t i = 0; i < image.pixels.size(); ++i) x[i] = float(image.pixels[i]) / 255 * 2 - 1;
}

std::vector<const GrayImage*> pointers_to(const std::vector<GrayImage>& images) {
  std::vector<const GrayImage*> pointers;
  for (const GrayImage& image : images) pointers.push_back(&image);
  return pointers;
}

Tensor to_tensor(const std::vector<const GrayImage*>& images) {
  check(!images.empty(), "to_tensor: no pictures");
  const int64_t height = images[0]->height, width = images[0]->width;
  Tensor x = empty({int64_t(images.size()), 1, height, width});
  float* out = x.mutable_data<float>();
  for (const GrayImage* image : images) {
    check(image->height == height && image->width == width, "to_tensor: pictures of different sizes");
    from_gray(*image, out);
    out += height * width;
  }
  return x;
}

GrayImage mirrored(const GrayImage& image) {
  GrayImage out = image;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) out.at(y, x) = image.at(y, image.width - 1 - x);
  return out;
}

uint8_t to_byte(double grey) { return uint8_t(std::lround(std::clamp(grey, 0.0, 255.0))); }

GrayImage gaussian_blur(const GrayImage& image, double sigma) {
  const int64_t radius = int64_t(3 * sigma + 1);
  std::vector<double> kernel;
  double total = 0;
  for (int64_t k = -radius; k <= radius; ++k)
    total += kernel.emplace_back(std::exp(-0.5 * double(k * k) / (sigma * sigma)));
  std::vector<double> rows(image.pixels.size());
  GrayImage out = image;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      double sum = 0;
      for (int64_t k = -radius; k <= radius; ++k)
        sum += kernel[size_t(k + radius)] * image.at(y, std::clamp<int64_t>(x + k, 0, image.width - 1));
      rows[size_t(y * image.width + x)] = sum / total;
    }
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      double sum = 0;
      for (int64_t k = -radius; k <= radius; ++k)
        sum += kernel[size_t(k + radius)] *
               rows[size_t(std::clamp<int64_t>(y + k, 0, image.height - 1) * image.width + x)];
      out.at(y, x) = to_byte(sum / total);
    }
  return out;
}

}  // namespace echodiff
