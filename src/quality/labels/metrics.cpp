#include "quality/labels/metrics.h"

#include <cmath>
#include <vector>

#include "kernels/error.h"

namespace echodiff {
namespace {

using Grey = std::vector<double>;  // (height, width)

// Index i of n pixels with the border reflected and the edge pixel not repeated: -1 is 1, n is n - 2.
int64_t reflect(int64_t i, int64_t n) {
  const int64_t period = 2 * (n - 1);
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

Grey laplacian(const Grey& image, int64_t height, int64_t width) {
  Grey out(image.size());
  for (int64_t y = 0; y < height; ++y) {
    const double* row = &image[size_t(y * width)];
    const double* above = &image[size_t(reflect(y - 1, height) * width)];
    const double* below = &image[size_t(reflect(y + 1, height) * width)];
    double* sum = &out[size_t(y * width)];
    for (int64_t x = 0; x < width; ++x) sum[x] = above[x] + below[x] - 4 * row[x];
    for (int64_t x = 1; x + 1 < width; ++x) sum[x] += row[x - 1] + row[x + 1];
    sum[0] += 2 * row[1];
    sum[width - 1] += 2 * row[width - 2];
  }
  return out;
}

std::vector<double> gaussian_taps(double sigma) {
  const int64_t radius = int64_t(4 * sigma + 0.5);
  std::vector<double> taps;
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    taps.push_back(std::exp(-0.5 * double(i * i) / (sigma * sigma)));
    sum += taps.back();
  }
  for (double& tap : taps) tap /= sum;
  return taps;
}

// Columns, then rows: the kernel is separable.
Grey blur(const Grey& image, int64_t height, int64_t width, double sigma) {
  const std::vector<double> taps = gaussian_taps(sigma);
  const int64_t radius = int64_t(taps.size() / 2);
  Grey columns(image.size(), 0.0), out(image.size(), 0.0);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t k = -radius; k <= radius; ++k) {
      const double tap = taps[size_t(k + radius)];
      const double* source = &image[size_t(reflect(y + k, height) * width)];
      for (int64_t x = 0; x < width; ++x) columns[size_t(y * width + x)] += tap * source[x];
    }
  Grey padded(size_t(width + 2 * radius));  // one row with its reflected borders
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = -radius; x < width + radius; ++x)
      padded[size_t(x + radius)] = columns[size_t(y * width + reflect(x, width))];
    double* row = &out[size_t(y * width)];
    for (int64_t k = 0; k <= 2 * radius; ++k)
      for (int64_t x = 0; x < width; ++x) row[x] += taps[size_t(k)] * padded[size_t(x + k)];
  }
  return out;
}

// Population variance over the pixels of `inside`.
double variance(const Grey& values, const std::vector<bool>& inside, double count) {
  double mean = 0, squares = 0;
  for (size_t i = 0; i < values.size(); ++i)
    if (inside[i]) mean += values[i];
  mean /= count;
  for (size_t i = 0; i < values.size(); ++i)
    if (inside[i]) squares += (values[i] - mean) * (values[i] - mean);
  return squares / count;
}

}  // namespace

Metrics measure(const GrayImage& image, const MetricOptions& options, const GrayImage* region) {
  const int64_t height = image.height, width = image.width;
  check_input(height >= 2 && width >= 2, Fault::kBadInput,
              "metrics: a picture of at least 2x2 pixels is needed, found ", width, "x", height);
  check_input(!region || (region->width == width && region->height == height), Fault::kBadInput,
              "metrics: the region must have the picture's size ", width, "x", height, ", found ",
              region ? region->width : 0, "x", region ? region->height : 0);
  Grey grey(image.pixels.size());
  std::vector<bool> inside(grey.size(), true);
  double count = double(grey.size());
  for (size_t i = 0; i < grey.size(); ++i) grey[i] = image.pixels[i] * options.scale / 255;
  if (region) {
    count = 0;
    for (size_t i = 0; i < grey.size(); ++i) {
      inside[i] = region->pixels[i] != 0;
      count += inside[i];
    }
    check_input(count > 0, Fault::kBadInput, "metrics: the region has no pixel");
  }
  Metrics metrics;
  metrics.sharpness = variance(laplacian(grey, height, width), inside, count);
  metrics.contrast = std::sqrt(variance(grey, inside, count));
  const Grey smooth = blur(grey, height, width, options.sigma);
  for (size_t i = 0; i < grey.size(); ++i)
    if (inside[i]) metrics.noise += std::abs(grey[i] - smooth[i]);
  metrics.noise /= count;
  return metrics;
}

}  // namespace echodiff
