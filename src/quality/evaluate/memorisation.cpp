#include "quality/evaluate/memorisation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/error.h"
#include "quality/labels/thresholds.h"
#include "quality/statistics/estimates.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

constexpr double kCopyQuantile = 0.01;

constexpr int64_t kDetailSide = 64, kReach = 2;
constexpr size_t kDetailCandidates = 20;

// (64, 64): what a Gaussian of two pixels takes away.
std::vector<double> detail_of(const GrayImage& image) {
  const GrayImage smooth = gaussian_blur(image, 2);
  std::vector<double> detail;
  for (size_t i = 0; i < image.pixels.size(); ++i) detail.push_back(double(image.pixels[i]) - double(smooth.pixels[i]));
  return detail;
}

// The largest correlation of b's middle with a's, moved by up to kReach pixels; 0 where either is flat.
double moved_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  constexpr int64_t kMiddle = kDetailSide - 2 * kReach, kCount = kMiddle * kMiddle;
  double best = 0;
  for (int64_t dy = 0; dy <= 2 * kReach; ++dy)
    for (int64_t dx = 0; dx <= 2 * kReach; ++dx) {
      double sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0;
      for (int64_t y = 0; y < kMiddle; ++y) {
        const double* const row_a = a.data() + (y + dy) * kDetailSide + dx;
        const double* const row_b = b.data() + (y + kReach) * kDetailSide + kReach;
        for (int64_t x = 0; x < kMiddle; ++x) {
          sum_a += row_a[x];
          sum_b += row_b[x];
          aa += row_a[x] * row_a[x];
          bb += row_b[x] * row_b[x];
          ab += row_a[x] * row_b[x];
        }
      }
      const double spread_a = aa - sum_a * sum_a / kCount, spread_b = bb - sum_b * sum_b / kCount;
      if (spread_a > 0 && spread_b > 0)
        best = std::max(best, (ab - sum_a * sum_b / kCount) / std::sqrt(spread_a * spread_b));
    }
  return best;
}

// Of a 64x64 picture and the twenty of `others` that are least far from it.
double shared_with_nearest(const GrayImage& image, const double* far, const std::vector<GrayImage>& others) {
  const std::vector<double> detail = detail_of(image);
  std::vector<size_t> order(others.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t candidates = std::min(kDetailCandidates, others.size());
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(candidates), order.end(),
                    [far](size_t a, size_t b) { return far[a] < far[b]; });
  double best = 0;
  for (size_t c = 0; c < candidates && std::isfinite(far[order[c]]); ++c)
    best = std::max(best, moved_correlation(detail, detail_of(others[order[c]])));
  return best;
}

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
  for (const GrayImage& image : both) small_.push_back(resize_area(image, kDetailSide, kDetailSide));
}

std::vector<Nearest> TrainingSet::nearest_to(const std::vector<GrayImage>& images) const {
  std::vector<Nearest> pairs = nearest(thumbnails(images), rows_);
  for (Nearest& pair : pairs) pair.index %= count_;
  return pairs;
}

std::vector<double> TrainingSet::shared_detail(const std::vector<GrayImage>& images) const {
  std::vector<double> shared;
  visit_distances(thumbnails(images), rows_, [&](int64_t i, const double* far) {
    shared.push_back(shared_with_nearest(resize_area(images[size_t(i)], kDetailSide, kDetailSide), far, small_));
  });
  return shared;
}

std::vector<double> TrainingSet::detail_of_others() const {
  const Rows own{count_, rows_.width, {rows_.row(0), rows_.row(count_)}};
  std::vector<double> shared;
  visit_distances(own, rows_, [&](int64_t i, const double* apart) {
    std::vector<double> far(apart, apart + rows_.count);
    far[size_t(i)] = far[size_t(i + count_)] = std::numeric_limits<double>::infinity();  // itself and its mirror
    shared.push_back(shared_with_nearest(small_[size_t(i)], far.data(), small_));
  });
  return shared;
}

double copy_distance(const std::vector<Nearest>& held_out) {
  return quantile_of(distances_of(held_out), kCopyQuantile);
}

double copy_detail(const TrainingSet& training) { return quantile_of(training.detail_of_others(), 1 - kCopyQuantile); }

Memorisation memorisation(const std::vector<Nearest>& samples, const std::vector<Nearest>& held_out) {
  const double limit = copy_distance(held_out);
  Memorisation result;
  for (const Nearest& pair : samples) result.copies += pair.distance < limit;
  result.median = median_of(distances_of(samples));
  result.median_held_out = median_of(distances_of(held_out));
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
