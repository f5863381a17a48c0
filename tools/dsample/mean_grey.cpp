#include "dsample/mean_grey.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr double kWarnFrom = 5;  // grey levels

std::string one_decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

}  // namespace

double mean_grey(const GrayImage& image, const Tensor& condition) {
  const int64_t planes = condition.dim(1);
  double sum = 0, inside = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const double sector = double(condition.data<float>()[int64_t(i + 1) * planes - 1]);
    sum += sector * image.pixels[i];
    inside += sector;
  }
  return inside > 0 ? sum / inside : NAN;
}

MeanGrey::MeanGrey(const std::string& folder, const Conditions& conditions, const DenoiserRun& run)
    : masks_(conditions.masks), sums_(masks_.size()), samples_(masks_.size()) {
  if (folder.empty()) return;
  for (size_t i = 0; i < conditions.files.size(); ++i) {
    const std::optional<GrayImage> picture = picture_of_mask(folder, conditions.files[i], run);
    if (!picture) {
      real_.clear();
      return;
    }
    real_.push_back(mean_grey(*picture, masks_[i]));
  }
}

MeanGrey::MeanGrey(const std::vector<Tensor>& masks, const std::vector<GrayImage>& pictures)
    : masks_(masks), sums_(masks.size()), samples_(masks.size()) {
  for (size_t i = 0; i < masks.size(); ++i) real_.push_back(mean_grey(pictures[i], masks[i]));
}

void MeanGrey::add(const SampleRecord& record) {
  const size_t mask = size_t(record.condition);
  const double grey = record.kept() ? mean_grey(record.image, masks_[mask]) : NAN;
  if (std::isnan(grey)) return;
  sums_[mask] += grey;
  ++samples_[mask];
}

std::optional<double> MeanGrey::of_samples() const {
  const double count = double(std::accumulate(samples_.begin(), samples_.end(), int64_t{0}));
  if (count == 0) return std::nullopt;
  return std::accumulate(sums_.begin(), sums_.end(), 0.0) / count;
}

std::optional<double> MeanGrey::of_data() const {
  double sum = 0, count = 0;
  for (size_t mask = 0; mask < real_.size(); ++mask) {
    sum += double(samples_[mask]) * real_[mask];
    count += double(samples_[mask]);
  }
  return count > 0 ? std::optional<double>(sum / count) : std::nullopt;
}

double MeanGrey::by_chance() const {
  const double apart = of_samples().value() - of_data().value();
  double squares = 0, count = 0, masks = 0;
  for (size_t mask = 0; mask < real_.size(); ++mask) {
    const double n = double(samples_[mask]), off = sums_[mask] - n * real_[mask] - n * apart;
    squares += off * off;
    count += n;
    masks += n > 0 ? 1 : 0;
  }
  return masks > 1 ? 1.96 * std::sqrt(squares * masks / (masks - 1)) / count : INFINITY;
}

void MeanGrey::tell(const Common& common, const std::string& out, int64_t draws) const {
  const std::optional<double> samples = of_samples(), data = of_data();
  if (!samples) return;
  const double chance = data ? by_chance() : 0;
  const std::string real = data ? concat_message(", of real pictures of these masks ", one_decimal(*data),
                                                 " (by chance up to ", one_decimal(chance), " apart)")
                                : "; no real pictures of these masks are there to compare";
  note(common, concat_message(out, ": mean grey inside of the sector ", one_decimal(*samples), real));
  if (!data || std::abs(*samples - *data) <= std::max(kWarnFrom, chance)) return;
  const std::string more = draws == 0 ? "at the masks' means (--mean-start 4)"
                                      : concat_message("at means of more draws (--mean-start ", 4 * draws, ")");
  note(common,
       concat_message("warning: ", out, ": the samples' mean grey is ", one_decimal(std::abs(*samples - *data)),
                      " levels off, as it is where a sampler begins too late; begin at --grid-start 1, or ", more));
}

}  // namespace echodiff
