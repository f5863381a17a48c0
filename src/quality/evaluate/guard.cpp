#include "quality/evaluate/guard.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "kernels/error.h"
#include "quality/evaluate/eigen_rows.h"
#include "quality/labels/metrics.h"
#include "quality/labels/thresholds.h"
#include "quality/statistics/estimates.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

// Correlation of pixels with their neighbour (dy, dx) where both lie inside the sector; 1 for a flat picture.
double neighbour_correlation(const GrayImage& image, const GrayImage& sector, int64_t dy, int64_t dx, double mean) {
  double products = 0, first = 0, second = 0;
  for (int64_t y = 0; y + dy < image.height; ++y)
    for (int64_t x = 0; x + dx < image.width; ++x) {
      if (sector.at(y, x) == 0 || sector.at(y + dy, x + dx) == 0) continue;
      const double a = image.at(y, x) - mean, b = image.at(y + dy, x + dx) - mean;
      products += a * b;
      first += a * a;
      second += b * b;
    }
  return first > 0 && second > 0 ? products / std::sqrt(first * second) : 1;
}

// The largest Laplacian inside the sector.
double laplacian_peak(const GrayImage& image, const GrayImage& sector) {
  double peak = 0;
  for (int64_t y = 1; y + 1 < image.height; ++y)
    for (int64_t x = 1; x + 1 < image.width; ++x)
      if (sector.at(y, x) != 0)
        peak = std::max(peak, std::abs(4.0 * image.at(y, x) - image.at(y - 1, x) - image.at(y + 1, x) -
                                       image.at(y, x - 1) - image.at(y, x + 1)));
  return peak;
}

// The slope of log deviation over log mean of the 4x4 cells that lie inside the sector: speckle's under a scanner's
// compression, and another one under any curve laid over it.
double deviation_slope(const GrayImage& image, const GrayImage& sector) {
  constexpr int64_t kCell = 4;
  std::vector<double> means, deviations;
  for (int64_t top = 0; top + kCell <= image.height; top += kCell)
    for (int64_t left = 0; left + kCell <= image.width; left += kCell) {
      double sum = 0, squares = 0;
      bool inside = true;
      for (int64_t y = top; y < top + kCell; ++y)
        for (int64_t x = left; x < left + kCell; ++x) {
          const double grey = image.at(y, x);
          inside = inside && sector.at(y, x) != 0;
          sum += grey;
          squares += grey * grey;
        }
      if (!inside) continue;
      const double mean = sum / (kCell * kCell), variance = squares / (kCell * kCell) - mean * mean;
      means.push_back(std::log(mean + 1));
      deviations.push_back(std::log(std::sqrt(std::max(0.0, variance)) + 0.5));
    }
  const auto average = [](const std::vector<double>& values) {
    return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / double(values.size());
  };
  const double mean_x = average(means), mean_y = average(deviations);
  double products = 0, spread = 0;
  for (size_t i = 0; i < means.size(); ++i) {
    products += (means[i] - mean_x) * (deviations[i] - mean_y);
    spread += (means[i] - mean_x) * (means[i] - mean_x);
  }
  return spread > 1e-9 ? products / spread : 0;
}

// How far the histogram inside the sector jumps from grey to grey, but for black and white: a curve laid over 8-bit
// pictures leaves some greys out and heaps others up.
double histogram_jumps(const GrayImage& image, const GrayImage& sector) {
  std::array<double, 256> pixels{};
  double count = 0, jumps = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const uint8_t grey = image.pixels[i];
    if (sector.pixels[i] == 0 || grey == 0 || grey == 255) continue;
    ++pixels[grey];
    ++count;
  }
  for (size_t grey = 2; grey < 254; ++grey) jumps += std::abs(pixels[grey] - (pixels[grey - 1] + pixels[grey + 1]) / 2);
  return jumps / std::max(count, 1.0);
}

// Of each of the statistics, what no eye sees. One that never varies (phantoms are black outside) counts when a picture
// has it otherwise, but half a grey level outside, as every network leaves, is nothing to speak of.
constexpr std::array<double, 14> kLeastDeviation{0.5, 0.5, 0.02, 0.02,  0.02, 0.002, 0.002,
                                                 0.1, 0.1, 0.05, 0.005, 0.2,  0.02,  0.02};
constexpr int64_t kNeighbours = 5;

Rows statistics_of(const Guard::Pictures& pictures) {
  Rows rows;
  for (size_t i = 0; i < pictures.images.size(); ++i) {
    const std::vector<double> row = grey_statistics(pictures.images[i], pictures.sectors[i]);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
    rows.width = int64_t(row.size());
    ++rows.count;
  }
  return rows;
}

// Mean distance to the nearest few. `apart`: (a picture's) distances to all known ones; `self`: 1 where it is one of
// them itself.
double strangeness(const double* apart, int64_t known, int64_t self) {
  std::vector<double> nearest(apart, apart + known);
  const int64_t count = std::min(kNeighbours, known - self);
  std::partial_sort(nearest.begin(), nearest.begin() + self + count, nearest.end());
  return std::accumulate(nearest.begin() + self, nearest.begin() + self + count, 0.0) / double(count);
}

}  // namespace

double outside_energy(const GrayImage& image, const GrayImage& sector) {
  check(image.width == sector.width && image.height == sector.height, "outside_energy: the picture is ", image.width,
        "x", image.height, ", its sector ", sector.width, "x", sector.height);
  double outside = 0, all = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const double energy = double(image.pixels[i]) * image.pixels[i];
    all += energy;
    if (sector.pixels[i] == 0) outside += energy;
  }
  return all > 0 ? outside / all : 0;
}

std::vector<double> grey_statistics(const GrayImage& image, const GrayImage& sector) {
  const Metrics metrics = measure(image, {}, &sector);
  double count = 0, mean = 0, cubes = 0, black = 0, white = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (sector.pixels[i] == 0) continue;
    ++count;
    mean += image.pixels[i];
    black += image.pixels[i] == 0;
    white += image.pixels[i] == 255;
  }
  mean /= count;
  for (size_t i = 0; i < image.pixels.size(); ++i)
    if (sector.pixels[i] != 0) cubes += std::pow(image.pixels[i] - mean, 3) / count;
  const double contrast = std::max(metrics.contrast, 1e-3);
  const GrayImage small = resize_area(image, 8, 8), small_sector = resize_nearest(sector, 8, 8);
  return {mean,
          metrics.contrast,
          cubes / (contrast * contrast * contrast),
          std::log(metrics.sharpness + 1),
          std::log(metrics.noise + 0.01),
          neighbour_correlation(image, sector, 0, 1, mean),
          neighbour_correlation(image, sector, 1, 0, mean),
          std::log(black / count + 0.001),
          std::log(white / count + 0.001),
          laplacian_peak(image, sector) / std::sqrt(metrics.sharpness + 1),
          measure(small, {}, &small_sector).contrast / contrast,
          std::log(outside_energy(image, sector) + 0.001),
          deviation_slope(image, sector),
          histogram_jumps(image, sector)};
}

Guard::Guard(const Pictures& real, const Pictures& samples, double quantile) : real_(real.images) {
  check_input(real.images.size() >= 30, Fault::kBadInput, "guard: at least 30 training and validation pictures are ",
              "needed, found ", real.images.size());
  Rows rows = statistics_of(real);
  if (!samples.images.empty()) {
    const Rows more = statistics_of(samples);
    rows.values.insert(rows.values.end(), more.values.begin(), more.values.end());
    rows.count += more.count;
  }
  const RowMatrix centred = as_matrix(rows).rowwise() - as_matrix(rows).colwise().mean();
  Eigen::MatrixXd covariance = centred.transpose() * centred / double(rows.count - 1);
  for (int64_t i = 0; i < rows.width; ++i)
    covariance(i, i) += kLeastDeviation[size_t(i)] * kLeastDeviation[size_t(i)] + 1e-3 * covariance(i, i);
  const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
  const RowMatrix inverse = factor.matrixL().solve(Eigen::MatrixXd::Identity(rows.width, rows.width));
  whitening_ = {rows.width, rows.width, std::vector<double>(inverse.data(), inverse.data() + inverse.size())};
  known_ = whitened(rows);
  std::vector<double> of_real, of_samples;
  visit_distances(known_, known_, [&](int64_t i, const double* apart) {
    (i < int64_t(real.images.size()) ? of_real : of_samples).push_back(strangeness(apart, known_.count, 1));
  });
  limit_ = quantile_of(of_real, quantile);
  if (!of_samples.empty()) limit_ = std::max(limit_, quantile_of(of_samples, quantile));
  copy_limit_ = copy_detail(real_);
}

Rows Guard::whitened(const Rows& statistics) const {
  Rows out{statistics.count, statistics.width, std::vector<double>(statistics.values.size())};
  Eigen::Map<RowMatrix>(out.values.data(), out.count, out.width) =
      as_matrix(statistics) * as_matrix(whitening_).transpose();
  return out;
}

std::vector<std::string> Guard::flags(const Pictures& pictures) const {
  if (pictures.images.empty()) return {};
  const std::vector<double> detail = real_.shared_detail(pictures.images);
  std::vector<std::string> out;
  visit_distances(whitened(statistics_of(pictures)), known_, [&](int64_t i, const double* apart) {
    const bool unlike = strangeness(apart, known_.count, 0) > limit_;
    out.push_back(unlike ? "unlike" : detail[size_t(i)] > copy_limit_ ? "copy" : "");
  });
  return out;
}

}  // namespace echodiff
