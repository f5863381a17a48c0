#include "quality/radiomics/glcm.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>

namespace echodiff {
namespace {

// Shares of pairs, (level - 1, level - 1); nothing where there are none.
Eigen::MatrixXd shares_of(const GreyLevels& levels, Direction step) {
  Eigen::MatrixXd pairs = Eigen::MatrixXd::Zero(levels.count, levels.count);
  for (int64_t y = 0; y < levels.height; ++y)
    for (int64_t x = 0; x < levels.width; ++x) {
      const int64_t one = levels.at(y, x), other = levels.at(y + step.dy, x + step.dx);
      if (one == 0 || other == 0) continue;
      pairs(one - 1, other - 1) += 1;
      pairs(other - 1, one - 1) += 1;
    }
  const double sum = pairs.sum();
  if (sum == 0) return {};
  return pairs / sum;
}

// The second largest correlation of functions of the two levels: of the eigenvalues of
// Q(i, j) = sum_k p(i, k) p(j, k) / (p_x(i) p_x(k)) the second's root. Q is similar to the square of the symmetric
// D^-1/2 P D^-1/2, D = diag(p_x).
double maximal_correlation(const Eigen::MatrixXd& p, const Eigen::VectorXd& px) {
  std::vector<Eigen::Index> present;
  for (Eigen::Index i = 0; i < px.size(); ++i)
    if (px(i) > 0) present.push_back(i);
  if (present.size() < 2) return 1;
  const Eigen::VectorXd roots = px(present).cwiseSqrt().cwiseInverse();
  const Eigen::MatrixXd scaled = roots.asDiagonal() * p(present, present) * roots.asDiagonal();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(scaled, Eigen::EigenvaluesOnly);
  Eigen::VectorXd sizes = solver.eigenvalues().cwiseAbs();
  std::sort(sizes.begin(), sizes.end());
  return sizes(sizes.size() - 2);
}

// Of the levels themselves, by the matrix p; what follows from sums and differences of levels is below.
struct OfPairs {
  double autocorrelation = 0, prominence = 0, shade = 0, tendency = 0, covariance = 0, squares = 0;
  double energy = 0, entropy = 0, entropy_apart = 0, largest = 0;
  std::vector<double> sum, difference;  // shares by i + j, by |i - j|
};

OfPairs of_pairs(const Eigen::MatrixXd& p, const Eigen::VectorXd& px, double mean) {
  const Eigen::Index count = p.rows();
  OfPairs of;
  of.sum.resize(size_t(2 * count + 1));
  of.difference.resize(size_t(count));
  for (Eigen::Index i = 0; i < count; ++i)
    for (Eigen::Index j = 0; j < count; ++j) {
      const double share = p(i, j), one = double(i + 1) - mean, other = double(j + 1) - mean, both = one + other;
      of.autocorrelation += share * double((i + 1) * (j + 1));
      of.tendency += share * both * both;
      of.shade += share * both * both * both;
      of.prominence += share * both * both * both * both;
      of.covariance += share * one * other;
      of.squares += share * one * one;
      of.energy += share * share;
      of.entropy += entropy_term(share);
      of.entropy_apart += entropy_term(share, px(i) * px(j));
      of.largest = std::max(of.largest, share);
      of.sum[size_t(i + j + 2)] += share;
      of.difference[size_t(std::abs(i - j))] += share;
    }
  return of;
}

double entropy_of(const std::vector<double>& shares) {
  double entropy = 0;
  for (double share : shares) entropy += entropy_term(share);
  return entropy;
}

// sum over k of the share of |i - j| = k times weight(k)
template <class Weight> double weighed(const std::vector<double>& shares, Weight weight) {
  double sum = 0;
  for (size_t k = 0; k < shares.size(); ++k) sum += shares[k] * weight(double(k));
  return sum;
}

Features of_direction(const Eigen::MatrixXd& p) {
  const double count = double(p.rows());
  const Eigen::VectorXd px = p.rowwise().sum();
  const double mean = px.dot(Eigen::VectorXd::LinSpaced(p.rows(), 1, count));
  const OfPairs of = of_pairs(p, px, mean);
  const double entropy_x = entropy_of({px.begin(), px.end()});
  double entropy_product = 0;  // of px(i) px(j)
  for (const double one : px)
    for (const double other : px) entropy_product += entropy_term(one * other);
  const std::vector<double>& apart = of.difference;
  const double difference = weighed(apart, [](double k) { return k; });
  const double imc2 = 1 - std::exp(-2 * (entropy_product - of.entropy));
  return {{"Autocorrelation", of.autocorrelation},
          {"JointAverage", mean},
          {"ClusterProminence", of.prominence},
          {"ClusterShade", of.shade},
          {"ClusterTendency", of.tendency},
          {"Contrast", weighed(apart, [](double k) { return k * k; })},
          {"Correlation", of.squares > 0 ? of.covariance / of.squares : 1},
          {"DifferenceAverage", difference},
          {"DifferenceEntropy", entropy_of(apart)},
          {"DifferenceVariance", weighed(apart, [&](double k) { return (k - difference) * (k - difference); })},
          {"JointEnergy", of.energy},
          {"JointEntropy", of.entropy},
          {"Imc1", entropy_x > 0 ? (of.entropy - of.entropy_apart) / entropy_x : 0},
          {"Imc2", std::sqrt(std::max(0.0, imc2))},
          {"Idm", weighed(apart, [](double k) { return 1 / (1 + k * k); })},
          {"MCC", maximal_correlation(p, px)},
          {"Idmn", weighed(apart, [&](double k) { return 1 / (1 + k * k / (count * count)); })},
          {"Id", weighed(apart, [](double k) { return 1 / (1 + k); })},
          {"Idn", weighed(apart, [&](double k) { return 1 / (1 + k / count); })},
          {"InverseVariance", weighed(apart, [](double k) { return k > 0 ? 1 / (k * k) : 0; })},
          {"MaximumProbability", of.largest},
          {"SumEntropy", entropy_of(of.sum)},
          {"SumSquares", of.squares}};
}

}  // namespace

Features glcm_features(const GreyLevels& levels) {
  std::vector<Features> directions;
  for (const Direction step : kDirections)
    if (const Eigen::MatrixXd p = shares_of(levels, step); p.size() > 0) directions.push_back(of_direction(p));
  return mean_of_directions(directions, of_direction(Eigen::MatrixXd::Ones(1, 1)));
}

}  // namespace echodiff
