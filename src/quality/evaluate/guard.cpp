#include "quality/evaluate/guard.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/error.h"
#include "quality/evaluate/eigen_rows.h"
#include "quality/evaluate/sector_energy.h"
#include "quality/metrics.h"
#include "quality/thresholds.h"
#include "train/image.h"

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

// Of each of the statistics, what no eye sees. One that never varies (phantoms are black outside) counts when a picture
// has it otherwise, but half a grey level outside, as every network leaves, is nothing to speak of.
constexpr std::array<double, 12> kLeastDeviation{0.5, 0.5, 0.02, 0.02, 0.02, 0.002, 0.002, 0.1, 0.1, 0.05, 0.005, 0.1};

}  // namespace

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
          std::log(outside_energy(image, sector) + 0.001)};
}

Guard::Guard(const Pictures& training, const Pictures& validation, double quantile) : training_(training.images) {
  check_input(training.images.size() >= 30 && validation.images.size() >= 10, Fault::kBadInput,
              "guard: at least 30 training and 10 validation pictures are needed, found ", training.images.size(),
              " and ", validation.images.size());
  Rows rows;
  for (size_t i = 0; i < training.images.size(); ++i) {
    const std::vector<double> row = grey_statistics(training.images[i], training.sectors[i]);
    rows.values.insert(rows.values.end(), row.begin(), row.end());
    rows.width = int64_t(row.size());
    ++rows.count;
  }
  const Eigen::VectorXd mean = as_matrix(rows).colwise().mean();
  const RowMatrix centred = as_matrix(rows).rowwise() - mean.transpose();
  Eigen::MatrixXd covariance = centred.transpose() * centred / double(rows.count - 1);
  for (int64_t i = 0; i < rows.width; ++i)
    covariance(i, i) += kLeastDeviation[size_t(i)] * kLeastDeviation[size_t(i)] + 1e-3 * covariance(i, i);
  const Eigen::LLT<Eigen::MatrixXd> factor(covariance);
  const RowMatrix inverse = factor.matrixL().solve(Eigen::MatrixXd::Identity(rows.width, rows.width));
  mean_.assign(mean.data(), mean.data() + rows.width);
  whitening_ = {rows.width, rows.width, std::vector<double>(inverse.data(), inverse.data() + inverse.size())};
  std::vector<double> strange;
  for (size_t i = 0; i < validation.images.size(); ++i)
    strange.push_back(strangeness(validation.images[i], validation.sectors[i]));
  limit_ = quantile_of(strange, quantile);
  copy_limit_ = copy_distance(training_.nearest_to(validation.images));
}

double Guard::strangeness(const GrayImage& image, const GrayImage& sector) const {
  const std::vector<double> row = grey_statistics(image, sector);
  const Eigen::Map<const Eigen::VectorXd> x(row.data(), int64_t(row.size())), mean(mean_.data(), int64_t(mean_.size()));
  return (as_matrix(whitening_) * (x - mean)).norm();
}

std::vector<std::string> Guard::flags(const Pictures& pictures) const {
  const std::vector<Nearest> copies = training_.nearest_to(pictures.images);
  std::vector<std::string> out;
  for (size_t i = 0; i < pictures.images.size(); ++i) {
    const bool unlike = strangeness(pictures.images[i], pictures.sectors[i]) > limit_;
    out.push_back(unlike ? "unlike" : copies[i].distance < copy_limit_ ? "copy" : "");
  }
  return out;
}

}  // namespace echodiff
