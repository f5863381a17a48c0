#include "quality/radiomics/glrlm.h"

#include <Eigen/Dense>
#include <algorithm>

namespace echodiff {
namespace {

// Numbers of runs, (level - 1, length - 1).
Eigen::MatrixXd runs_of(const GreyLevels& levels, Direction step) {
  Eigen::MatrixXd runs = Eigen::MatrixXd::Zero(levels.count, std::max(levels.height, levels.width));
  for (int64_t y = 0; y < levels.height; ++y)
    for (int64_t x = 0; x < levels.width; ++x) {
      const int64_t level = levels.at(y, x);
      if (level == 0 || levels.at(y - step.dy, x - step.dx) == level) continue;
      int64_t length = 1;
      while (levels.at(y + length * step.dy, x + length * step.dx) == level) ++length;
      runs(level - 1, length - 1) += 1;
    }
  return runs;
}

double variance_of(const Eigen::ArrayXd& shares, const Eigen::ArrayXd& at) {
  const double mean = (shares * at).sum();
  return (shares * (at - mean).square()).sum();
}

Features of_direction(const Eigen::MatrixXd& runs) {
  const double count = runs.sum();
  const Eigen::ArrayXXd p = runs.array() / count;
  const Eigen::ArrayXd by_level = p.rowwise().sum(), by_length = p.colwise().sum().transpose();
  const Eigen::ArrayXd level = Eigen::ArrayXd::LinSpaced(p.rows(), 1, double(p.rows())),
                       length = Eigen::ArrayXd::LinSpaced(p.cols(), 1, double(p.cols()));
  const Eigen::VectorXd low = level.square().inverse(), high = level.square(), brief = length.square().inverse(),
                        prolonged = length.square();
  const auto emphasis = [&](const Eigen::VectorXd& of_level, const Eigen::VectorXd& of_length) -> double {
    return of_level.dot(p.matrix() * of_length);
  };
  double entropy = 0;
  for (Eigen::Index j = 0; j < p.cols(); ++j)
    for (Eigen::Index i = 0; i < p.rows(); ++i) entropy += entropy_term(p(i, j));
  return {{"ShortRunEmphasis", by_length.matrix().dot(brief)},
          {"LongRunEmphasis", by_length.matrix().dot(prolonged)},
          {"GrayLevelNonUniformity", by_level.square().sum() * count},
          {"GrayLevelNonUniformityNormalized", by_level.square().sum()},
          {"RunLengthNonUniformity", by_length.square().sum() * count},
          {"RunLengthNonUniformityNormalized", by_length.square().sum()},
          {"RunPercentage", 1 / (by_length * length).sum()},
          {"GrayLevelVariance", variance_of(by_level, level)},
          {"RunVariance", variance_of(by_length, length)},
          {"RunEntropy", entropy},
          {"LowGrayLevelRunEmphasis", by_level.matrix().dot(low)},
          {"HighGrayLevelRunEmphasis", by_level.matrix().dot(high)},
          {"ShortRunLowGrayLevelEmphasis", emphasis(low, brief)},
          {"ShortRunHighGrayLevelEmphasis", emphasis(high, brief)},
          {"LongRunLowGrayLevelEmphasis", emphasis(low, prolonged)},
          {"LongRunHighGrayLevelEmphasis", emphasis(high, prolonged)}};
}

}  // namespace

Features glrlm_features(const GreyLevels& levels) {
  std::vector<Features> directions;
  if (levels.count > 0)
    for (const Direction step : kDirections) directions.push_back(of_direction(runs_of(levels, step)));
  return mean_of_directions(directions, of_direction(Eigen::MatrixXd::Ones(1, 1)));
}

}  // namespace echodiff
