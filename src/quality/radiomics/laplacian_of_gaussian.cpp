#include "quality/radiomics/laplacian_of_gaussian.h"

#include <cmath>

#include "kernels/error.h"

namespace echodiff {
namespace {

struct Taps {
  std::vector<double> smooth, second;  // (2 radius + 1)
};

Taps taps_of(double sigma) {
  const int64_t radius = int64_t(4 * sigma + 0.5);
  const double variance = sigma * sigma;
  Taps taps;
  double sum = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    taps.smooth.push_back(std::exp(-0.5 * double(i * i) / variance));
    sum += taps.smooth.back();
  }
  for (int64_t i = -radius; i <= radius; ++i) {
    double& tap = taps.smooth[size_t(i + radius)];
    tap /= sum;
    taps.second.push_back((double(i * i) / variance - 1) / variance * tap);
  }
  return taps;
}

// Index i of n pixels, the border reflected and the edge pixel not repeated.
int64_t reflected(int64_t i, int64_t n) {
  if (n == 1) return 0;
  const int64_t period = 2 * (n - 1);
  i = ((i % period) + period) % period;
  return i < n ? i : period - i;
}

// One of `count` lines of `length` pixels, `stride` apart from pixel to pixel: out += taps * in.
void add_correlation(const std::vector<double>& taps, const double* in, int64_t length, int64_t stride, double* out) {
  const int64_t radius = int64_t(taps.size() / 2);
  std::vector<double> padded(size_t(length + 2 * radius));
  for (int64_t i = -radius; i < length + radius; ++i) padded[size_t(i + radius)] = in[reflected(i, length) * stride];
  for (int64_t i = 0; i < length; ++i) {
    double sum = 0;
    for (size_t k = 0; k < taps.size(); ++k) sum += taps[k] * padded[size_t(i) + k];
    out[i * stride] += sum;
  }
}

}  // namespace

std::vector<double> laplacian_of_gaussian(const GrayImage& image, double sigma) {
  check(sigma > 0, "laplacian_of_gaussian: sigma is ", sigma, ", expected more than 0");
  const int64_t height = image.height, width = image.width;
  const Taps taps = taps_of(sigma);
  const std::vector<double> grey(image.pixels.begin(), image.pixels.end());
  std::vector<double> out(grey.size());
  for (const bool along_x : {true, false}) {
    std::vector<double> rows(grey.size());
    for (int64_t y = 0; y < height; ++y)
      add_correlation(along_x ? taps.second : taps.smooth, grey.data() + y * width, width, 1, rows.data() + y * width);
    for (int64_t x = 0; x < width; ++x)
      add_correlation(along_x ? taps.smooth : taps.second, rows.data() + x, height, width, out.data() + x);
  }
  for (double& value : out) value *= sigma * sigma;
  return out;
}

}  // namespace echodiff
