#include "quality/evaluate/speckle.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int64_t kWindow = 7, kReach = 7;  // pixels a side; and on each side of the middle one
constexpr int64_t kLags = 16;

// Sums over rectangles of a picture (Crow 1984).
class Sums {
 public:
  template <class Value>
  Sums(int64_t height, int64_t width, Value value) : width_(width), sums_(size_t((height + 1) * (width + 1))) {
    for (int64_t y = 0; y < height; ++y) {
      double row = 0;
      for (int64_t x = 0; x < width; ++x) {
        row += value(size_t(y * width + x));
        sums_[index(y + 1, x + 1)] = sums_[index(y, x + 1)] + row;
      }
    }
  }
  // Of rows top .. bottom - 1, columns left .. right - 1.
  double over(int64_t top, int64_t left, int64_t bottom, int64_t right) const {
    return sums_[index(bottom, right)] - sums_[index(top, right)] - sums_[index(bottom, left)] +
           sums_[index(top, left)];
  }

 private:
  size_t index(int64_t y, int64_t x) const { return size_t(y * (width_ + 1) + x); }

  int64_t width_;
  std::vector<double> sums_;  // (height + 1, width + 1)
};

struct SectorSums {
  Sums pixels, greys, squares;
};

double median_signal_to_noise(const GrayImage& image, const SectorSums& sums) {
  constexpr double kPixels = kWindow * kWindow;
  std::vector<double> ratios;
  for (int64_t y = 0; y + kWindow <= image.height; ++y)
    for (int64_t x = 0; x + kWindow <= image.width; ++x) {
      const int64_t bottom = y + kWindow, right = x + kWindow;
      if (sums.pixels.over(y, x, bottom, right) < kPixels) continue;
      const double mean = sums.greys.over(y, x, bottom, right) / kPixels;
      const double variance = sums.squares.over(y, x, bottom, right) / kPixels - mean * mean;
      if (variance > 1e-9) ratios.push_back(mean / std::sqrt(variance));
    }
  if (ratios.empty()) return std::numeric_limits<double>::quiet_NaN();
  const std::vector<double>::iterator middle = ratios.begin() + std::ptrdiff_t(ratios.size() / 2);
  std::nth_element(ratios.begin(), middle, ratios.end());
  return *middle;
}

// The greys inside less their mean around; 0 outside. (height, width)
std::vector<double> detail_of(const GrayImage& image, const GrayImage& sector, const SectorSums& sums) {
  std::vector<double> detail(image.pixels.size());
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      if (sector.at(y, x) == 0) continue;
      const int64_t top = std::max<int64_t>(y - kReach, 0), left = std::max<int64_t>(x - kReach, 0),
                    bottom = std::min(y + kReach + 1, image.height), right = std::min(x + kReach + 1, image.width);
      const double mean = sums.greys.over(top, left, bottom, right) / sums.pixels.over(top, left, bottom, right);
      detail[size_t(y * image.width + x)] = image.at(y, x) - mean;
    }
  return detail;
}

// Correlation of the detail with itself (dy, dx) away, both in the sector; NaN without any.
double correlation_at(const std::vector<double>& detail, const GrayImage& sector, int64_t dy, int64_t dx) {
  double products = 0, first = 0, second = 0;
  for (int64_t y = 0; y + dy < sector.height; ++y)
    for (int64_t x = 0; x + dx < sector.width; ++x) {
      if (sector.at(y, x) == 0 || sector.at(y + dy, x + dx) == 0) continue;
      const double a = detail[size_t(y * sector.width + x)], b = detail[size_t((y + dy) * sector.width + x + dx)];
      products += a * b;
      first += a * a;
      second += b * b;
    }
  return products / std::sqrt(first * second);
}

double half_width(const std::vector<double>& detail, const GrayImage& sector, int64_t dy, int64_t dx) {
  double before = 1;
  for (int64_t lag = 1; lag <= kLags; ++lag) {
    const double correlation = correlation_at(detail, sector, lag * dy, lag * dx);
    if (std::isnan(correlation)) break;
    if (correlation <= 0.5) return double(lag - 1) + (before - 0.5) / (before - correlation);
    before = correlation;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

Speckle speckle_of(const GrayImage& image, const GrayImage& sector) {
  const int64_t height = image.height, width = image.width;
  check(width == sector.width && height == sector.height, "speckle_of: the picture is ", width, "x", height,
        ", its sector ", sector.width, "x", sector.height);
  const auto inside = [&](size_t i) { return sector.pixels[i] != 0 ? 1.0 : 0.0; };
  const auto grey = [&](size_t i) { return inside(i) * image.pixels[i]; };
  const SectorSums sums{Sums(height, width, inside), Sums(height, width, grey),
                        Sums(height, width, [&](size_t i) { return grey(i) * grey(i); })};
  const double pixels = sums.pixels.over(0, 0, height, width);
  Speckle speckle;
  if (pixels == 0) return speckle;
  const std::vector<double> detail = detail_of(image, sector, sums);
  speckle.mean_grey = sums.greys.over(0, 0, height, width) / pixels;
  speckle.signal_to_noise = median_signal_to_noise(image, sums);
  speckle.lateral_width = half_width(detail, sector, 0, 1);
  speckle.axial_width = half_width(detail, sector, 1, 0);
  return speckle;
}

}  // namespace echodiff
