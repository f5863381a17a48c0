#include "quality/radiomics/first_order.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

namespace echodiff {
namespace {

// Linear interpolation between order statistics, as numpy.percentile. `sorted` isn't empty.
double percentile(const std::vector<double>& sorted, double percent) {
  const double position = percent / 100 * double(sorted.size() - 1);
  const size_t below = size_t(position), above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - double(below)) * (sorted[above] - sorted[below]);
}

double mean_over(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / double(values.size());
}

double mean_deviation(const std::vector<double>& values) {
  const double mean = mean_over(values);
  double sum = 0;
  for (double value : values) sum += std::abs(value - mean);
  return sum / double(values.size());
}

struct Moments {
  double second = 0, third = 0, fourth = 0, square = 0;  // central ones, and the mean square
};

Moments moments_of(const std::vector<double>& values, double mean) {
  Moments moments;
  for (double value : values) {
    const double off = value - mean;
    moments.second += off * off;
    moments.third += off * off * off;
    moments.fourth += off * off * off * off;
    moments.square += value * value;
  }
  for (double* moment : {&moments.second, &moments.third, &moments.fourth, &moments.square})
    *moment /= double(values.size());
  return moments;
}

}  // namespace

Features first_order(const std::vector<double>& values, const GreyLevels& levels) {
  std::vector<double> sorted, histogram(size_t(levels.count + 1));
  for (size_t i = 0; i < values.size(); ++i) {
    if (levels.level[i] == 0) continue;
    sorted.push_back(values[i]);
    histogram[size_t(levels.level[i])] += 1;
  }
  if (sorted.empty()) {
    Features none = first_order({0}, {1, 1, 1, {1}});
    for (auto& [name, value] : none) value = std::numeric_limits<double>::quiet_NaN();
    return none;
  }
  std::sort(sorted.begin(), sorted.end());
  const double n = double(sorted.size()), mean = mean_over(sorted), low = percentile(sorted, 10),
               high = percentile(sorted, 90);
  const Moments moments = moments_of(sorted, mean);
  double entropy = 0, uniformity = 0;
  for (double pixels : histogram) {
    entropy += entropy_term(pixels / n);
    uniformity += pixels / n * pixels / n;
  }
  std::vector<double> middle;
  std::copy_if(sorted.begin(), sorted.end(), std::back_inserter(middle),
               [&](double value) { return value >= low && value <= high; });
  const double deviation = std::sqrt(moments.second), cubed = moments.second * deviation;
  return {{"Energy", moments.square * n},
          {"Entropy", entropy},
          {"Minimum", sorted.front()},
          {"10Percentile", low},
          {"90Percentile", high},
          {"Maximum", sorted.back()},
          {"Mean", mean},
          {"Median", percentile(sorted, 50)},
          {"InterquartileRange", percentile(sorted, 75) - percentile(sorted, 25)},
          {"Range", sorted.back() - sorted.front()},
          {"MeanAbsoluteDeviation", mean_deviation(sorted)},
          {"RobustMeanAbsoluteDeviation", middle.empty() ? 0 : mean_deviation(middle)},
          {"RootMeanSquared", std::sqrt(moments.square)},
          {"Skewness", cubed > 0 ? moments.third / cubed : 0},
          {"Kurtosis", moments.second > 0 ? moments.fourth / (moments.second * moments.second) : 0},
          {"Variance", moments.second},
          {"Uniformity", uniformity}};
}

}  // namespace echodiff
