#include "quality/evaluate/distribution.h"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/error.h"
#include "quality/evaluate/eigen_rows.h"
#include "tensor/autograd.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

constexpr int64_t kLeastRows = 3;
constexpr int64_t kFolds = 10;  // of the grouped jackknife
constexpr int64_t kBatch = 64;
constexpr std::array<double, 3> kMean{0.485, 0.456, 0.406}, kDeviation{0.229, 0.224, 0.225};  // torchvision's

// (N, 1, H, W) in [-1, 1] -> (N, 3, H, W)
Tensor as_colour(const Tensor& grey) {
  const int64_t pixels = grey.count();
  Tensor colour = empty({grey.dim(0), 3, grey.dim(2), grey.dim(3)});
  const float* in = grey.data<float>();
  float* out = colour.mutable_data<float>();  // channels-last: the three of a pixel lie together
  for (int64_t i = 0; i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c) *out++ = float(((double(in[i]) + 1) / 2 - kMean[c]) / kDeviation[c]);
  return colour;
}

void check_sets(const Rows& samples, const Rows& real, int64_t least) {
  check(samples.width == real.width, "evaluation: samples have ", samples.width, " features, real pictures ",
        real.width);
  check_input(samples.count >= least && real.count >= least, Fault::kBadInput, "evaluation: at least ", least,
              " samples and real pictures are needed, found ", samples.count, " and ", real.count);
}

// (n - 1) / n * sum of squared deviations of n estimates, each made without one part (Efron & Stein 1981).
double jackknife_variance(const std::vector<double>& without) {
  const double n = double(without.size());
  double mean = 0, squares = 0;
  for (double value : without) mean += value / n;
  for (double value : without) squares += (value - mean) * (value - mean);
  return (n - 1) / n * squares;
}

RowMatrix kernel(const Rows& a, const Rows& b) {
  const RowMatrix products = as_matrix(a) * as_matrix(b).transpose() / double(a.width);
  return (products.array() + 1).cube();
}

// KID, and what it is without each sample and without each real row.
struct KernelTerms {
  double value = 0;
  std::vector<double> without_sample, without_real;
};

KernelTerms kernel_terms(const Rows& samples, const Rows& real) {
  check_sets(samples, real, kLeastRows);
  const double n = double(samples.count), m = double(real.count);
  RowMatrix within_samples = kernel(samples, samples), within_real = kernel(real, real);
  within_samples.diagonal().setZero();
  within_real.diagonal().setZero();
  const RowMatrix across = kernel(samples, real);
  const double a = within_samples.sum(), b = within_real.sum(), c = across.sum();
  const Eigen::VectorXd a_rows = within_samples.rowwise().sum(), b_rows = within_real.rowwise().sum();
  const Eigen::VectorXd c_rows = across.rowwise().sum(), c_columns = across.colwise().sum();
  KernelTerms terms;
  for (int64_t i = 0; i < samples.count; ++i)
    terms.without_sample.push_back((a - 2 * a_rows(i)) / ((n - 1) * (n - 2)) + b / (m * (m - 1)) -
                                   2 * (c - c_rows(i)) / ((n - 1) * m));
  for (int64_t j = 0; j < real.count; ++j)
    terms.without_real.push_back(a / (n * (n - 1)) + (b - 2 * b_rows(j)) / ((m - 1) * (m - 2)) -
                                 2 * (c - c_columns(j)) / (n * (m - 1)));
  terms.value = a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * c / (n * m);
  return terms;
}

struct Gaussian {
  Eigen::VectorXd mean;
  Eigen::MatrixXd covariance;
};

// The rows whose fold (row number mod kFolds) isn't `left_out`.
Rows without_fold(const Rows& rows, int64_t left_out) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < rows.count; ++i)
    if (i % kFolds != left_out) kept.push_back(i);
  return take_rows(rows, kept);
}

Gaussian gaussian_of(const Rows& part) {
  Gaussian gaussian;
  gaussian.mean = as_matrix(part).colwise().mean();
  const RowMatrix centred = as_matrix(part).rowwise() - gaussian.mean.transpose();
  gaussian.covariance = centred.transpose() * centred / double(part.count - 1);
  return gaussian;
}

Eigen::MatrixXd square_root(const Eigen::MatrixXd& covariance) {
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance);
  const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
  return solver.eigenvectors() * roots.asDiagonal() * solver.eigenvectors().transpose();
}

// `root_a` is the square root of a's covariance: tr (Sa Sb)^(1/2) = tr (root_a Sb root_a)^(1/2), which is symmetric.
double frechet(const Gaussian& a, const Eigen::MatrixXd& root_a, const Gaussian& b) {
  const Eigen::MatrixXd product = root_a * b.covariance * root_a;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(product, Eigen::EigenvaluesOnly);
  const double root_trace = solver.eigenvalues().cwiseMax(0).cwiseSqrt().sum();
  return (a.mean - b.mean).squaredNorm() + a.covariance.trace() + b.covariance.trace() - 2 * root_trace;
}

// The distance of each row to its k-th nearest other row.
std::vector<double> radii(const Rows& rows, int64_t k) {
  const Rows apart = distances(rows, rows);
  std::vector<double> out;
  for (int64_t i = 0; i < rows.count; ++i) {
    std::vector<double> others(apart.row(i), apart.row(i) + rows.count);
    others.erase(others.begin() + i);
    std::nth_element(others.begin(), others.begin() + (k - 1), others.end());
    out.push_back(others[size_t(k - 1)]);
  }
  return out;
}

}  // namespace

Rows features_of(const ResNet18Run& run, const std::vector<GrayImage>& images) {
  const int64_t channels = run.options.in_channels, size = run.image_size;
  check_input(channels == 1 || channels == 3, Fault::kBadInput,
              "features: expected a network of 1 or 3 channels, found ", channels);
  Rows rows{int64_t(images.size()), 8 * run.options.width, {}};
  const NoGrad no_grad;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    std::vector<GrayImage> batch(images.begin() + int64_t(begin),
                                 images.begin() + std::min<int64_t>(int64_t(begin) + kBatch, rows.count));
    for (GrayImage& image : batch)
      if (size > 0 && (image.width != size || image.height != size)) image = resize_area(image, size, size);
    const Tensor grey = to_tensor(pointers_to(batch));
    const std::vector<double> values = run.network.features(channels == 3 ? as_colour(grey) : grey).to_vector();
    rows.values.insert(rows.values.end(), values.begin(), values.end());
  }
  return rows;
}

Measure kernel_distance(const Rows& samples, const Rows& real) {
  const KernelTerms terms = kernel_terms(samples, real);
  return {terms.value, std::sqrt(jackknife_variance(terms.without_sample) + jackknife_variance(terms.without_real))};
}

Measure kernel_difference(const Rows& a, const Rows& b, const Rows& real) {
  const KernelTerms of_a = kernel_terms(a, real), of_b = kernel_terms(b, real);
  std::vector<double> without_real;
  for (size_t j = 0; j < of_a.without_real.size(); ++j)
    without_real.push_back(of_a.without_real[j] - of_b.without_real[j]);
  return {of_a.value - of_b.value,
          std::sqrt(jackknife_variance(of_a.without_sample) + jackknife_variance(of_b.without_sample) +
                    jackknife_variance(without_real))};
}

Measure frechet_distance(const Rows& samples, const Rows& real) {
  check_sets(samples, real, kLeastRows);
  const Gaussian a = gaussian_of(samples), b = gaussian_of(real);
  const Eigen::MatrixXd root_a = square_root(a.covariance), root_b = square_root(b.covariance);
  std::vector<double> without_samples, without_real;
  for (int64_t fold = 0; fold < std::min(kFolds, samples.count); ++fold)
    without_samples.push_back(frechet(b, root_b, gaussian_of(without_fold(samples, fold))));
  for (int64_t fold = 0; fold < std::min(kFolds, real.count); ++fold)
    without_real.push_back(frechet(a, root_a, gaussian_of(without_fold(real, fold))));
  return {frechet(a, root_a, b), std::sqrt(jackknife_variance(without_samples) + jackknife_variance(without_real))};
}

double frechet_value(const Rows& samples, const Rows& real) {
  check_sets(samples, real, kLeastRows);
  const Gaussian a = gaussian_of(samples);
  return frechet(a, square_root(a.covariance), gaussian_of(real));
}

Measure grouped_jackknife(const Rows& samples, const Rows& real, const RowsStatistic& statistic) {
  std::vector<double> without_samples, without_real;
  for (int64_t fold = 0; fold < std::min(kFolds, samples.count); ++fold)
    without_samples.push_back(statistic(without_fold(samples, fold), real));
  for (int64_t fold = 0; fold < std::min(kFolds, real.count); ++fold)
    without_real.push_back(statistic(samples, without_fold(real, fold)));
  return {statistic(samples, real), std::sqrt(jackknife_variance(without_samples) + jackknife_variance(without_real))};
}

Neighbourhood neighbourhood(const Rows& samples, const Rows& real, int64_t k) {
  check(k >= 1, "neighbourhood: k is ", k, ", expected at least 1");
  check_sets(samples, real, k + 1);
  const std::vector<double> sample_radii = radii(samples, k), real_radii = radii(real, k);
  const Rows apart = distances(samples, real);
  std::vector<bool> recalled(size_t(real.count)), covered(size_t(real.count));
  std::vector<double> densities;
  Neighbourhood result;
  for (int64_t i = 0; i < samples.count; ++i) {
    int64_t balls = 0;
    for (int64_t j = 0; j < real.count; ++j) {
      const double distance = apart.row(i)[j];
      if (distance < sample_radii[size_t(i)]) recalled[size_t(j)] = true;
      if (distance < real_radii[size_t(j)]) covered[size_t(j)] = true, ++balls;
    }
    result.precise += balls > 0;
    densities.push_back(double(balls) / double(k));
  }
  result.recalled = std::count(recalled.begin(), recalled.end(), true);
  result.covered = std::count(covered.begin(), covered.end(), true);
  result.density = mean_of(densities);
  return result;
}

}  // namespace echodiff
