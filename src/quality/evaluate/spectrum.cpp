#include "quality/evaluate/spectrum.h"

#include <Eigen/Dense>
#include <cmath>
#include <numbers>

#include "kernels/error.h"

namespace echodiff {
namespace {

Eigen::VectorXd hann(int64_t n) {
  Eigen::VectorXd window(n);
  for (int64_t i = 0; i < n; ++i) window(i) = std::pow(std::sin(std::numbers::pi * (double(i) + 0.5) / double(n)), 2);
  return window;
}

// The pixels under the window, their weighted mean taken off. (H, W)
Eigen::MatrixXd windowed(const GrayImage& image, const Eigen::VectorXd& rows, const Eigen::VectorXd& columns) {
  Eigen::MatrixXd x(image.height, image.width);
  for (int64_t row = 0; row < image.height; ++row)
    for (int64_t column = 0; column < image.width; ++column) x(row, column) = image.at(row, column);
  const double mean = rows.dot(x * columns) / (rows.sum() * columns.sum());
  return rows.asDiagonal() * (x.array() - mean).matrix() * columns.asDiagonal();
}

// cos and sin of 2 pi i f / n at pixel i and frequency f / n. (n, frequencies)
struct Waves {
  Eigen::MatrixXd cosine, sine;
};

Waves waves(int64_t n, int64_t frequencies) {
  Waves all{Eigen::MatrixXd(n, frequencies), Eigen::MatrixXd(n, frequencies)};
  for (int64_t f = 0; f < frequencies; ++f)
    for (int64_t i = 0; i < n; ++i) {
      const double angle = 2 * std::numbers::pi * double(i * f % n) / double(n);
      all.cosine(i, f) = std::cos(angle);
      all.sine(i, f) = std::sin(angle);
    }
  return all;
}

// |DFT(x)|^2 at the frequencies that aren't mirror images of others. (H, W / 2 + 1)
Eigen::MatrixXd squared_transform(const Eigen::MatrixXd& x) {
  const Waves across = waves(x.cols(), x.cols() / 2 + 1), down = waves(x.rows(), x.rows());
  const Eigen::MatrixXd a = x * across.cosine, b = x * across.sine;  // (H, W / 2 + 1)
  const Eigen::MatrixXd real = down.cosine.transpose() * a - down.sine.transpose() * b,
                        imaginary = down.cosine.transpose() * b + down.sine.transpose() * a;
  return real.array().square() + imaginary.array().square();
}

}  // namespace

std::array<double, kBands> band_powers(const GrayImage& image) {
  const int64_t height = image.height, width = image.width;
  check(height > 0 && width > 0, "band_powers: the picture is empty");
  const Eigen::VectorXd rows = hann(height), columns = hann(width);
  const double weight = rows.squaredNorm() * columns.squaredNorm();
  const Eigen::MatrixXd power = squared_transform(windowed(image, rows, columns));
  std::array<double, kBands> sums{}, counts{};
  for (int64_t row = 0; row < height; ++row)
    for (int64_t column = 0; column <= width / 2; ++column) {
      const double fy = double(std::min(row, height - row)) / double(height), fx = double(column) / double(width);
      const double at = 2 * double(kBands) * std::hypot(fy, fx);
      if (at == 0 || at > double(kBands) + 1e-9) continue;
      const size_t band = size_t(std::ceil(at - 1e-9)) - 1;
      const double times = column == 0 || 2 * column == width ? 1 : 2;  // the mirror image
      sums[band] += times * power(row, column) / weight;
      counts[band] += times;
    }
  for (size_t band = 0; band < sums.size(); ++band) sums[band] /= counts[band];  // NaN for none
  return sums;
}

}  // namespace echodiff
