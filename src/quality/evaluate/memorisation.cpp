#include "quality/evaluate/memorisation.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "quality/thresholds.h"
#include "train/image.h"

namespace echodiff {
namespace {

constexpr double kCopyQuantile = 0.01;

std::vector<double> distances_of(const std::vector<Nearest>& pairs) {
  std::vector<double> out;
  for (const Nearest& pair : pairs) out.push_back(pair.distance);
  return out;
}

// P(a < b) of a draw of either list, ties half.
Measure chance_nearer(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> of_a(a.size()), of_b(b.size());
  for (size_t i = 0; i < a.size(); ++i)
    for (size_t j = 0; j < b.size(); ++j) {
      const double win = a[i] < b[j] ? 1 : a[i] == b[j] ? 0.5 : 0;
      of_a[i] += win / double(b.size());
      of_b[j] += win / double(a.size());
    }
  const Measure over_a = mean_of(of_a), over_b = mean_of(of_b);
  return {over_a.value, std::hypot(over_a.error, over_b.error)};
}

}  // namespace

std::vector<Nearest> nearest(const Rows& rows, const Rows& others) {
  check(others.count > 0, "nearest: nothing to be near to");
  const Rows apart = distances(rows, others);
  std::vector<Nearest> out;
  for (int64_t i = 0; i < rows.count; ++i) {
    const double* best = std::min_element(apart.row(i), apart.row(i) + others.count);
    out.push_back({best - apart.row(i), *best});
  }
  return out;
}

TrainingSet::TrainingSet(const std::vector<GrayImage>& training) : count_(int64_t(training.size())) {
  std::vector<GrayImage> both = training;
  for (const GrayImage& image : training) both.push_back(mirrored(image));
  rows_ = thumbnails(both);
}

std::vector<Nearest> TrainingSet::nearest_to(const std::vector<GrayImage>& images) const {
  std::vector<Nearest> pairs = nearest(thumbnails(images), rows_);
  for (Nearest& pair : pairs) pair.index %= count_;
  return pairs;
}

double copy_distance(const std::vector<Nearest>& held_out) {
  return quantile_of(distances_of(held_out), kCopyQuantile);
}

Memorisation memorisation(const std::vector<Nearest>& samples, const std::vector<Nearest>& held_out) {
  const double limit = copy_distance(held_out);
  Memorisation result;
  for (const Nearest& pair : samples) result.copies += pair.distance < limit;
  result.median = quantile_of(distances_of(samples), 0.5);
  result.median_held_out = quantile_of(distances_of(held_out), 0.5);
  result.closer = chance_nearer(distances_of(samples), distances_of(held_out));
  return result;
}

int64_t distinct_count(const Rows& rows, double distance) {
  const Rows apart = distances(rows, rows);
  std::vector<int64_t> counted;
  for (int64_t i = 0; i < rows.count; ++i)
    if (std::none_of(counted.begin(), counted.end(), [&](int64_t j) { return apart.row(i)[j] < distance; }))
      counted.push_back(i);
  return int64_t(counted.size());
}

}  // namespace echodiff
