#include "train/data/told_augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace echodiff {
namespace {

// Standard deviations, or largest values of what is uniform.
constexpr double kZoom = 0.2, kTurn = std::numbers::pi / 9, kShift = 0.08;
constexpr double kGain = 0.35, kDepthGain = 0.7, kLeastShadow = 0.3, kMostShadow = 0.9, kShadowWidth = 0.12;

struct Change {
  double zoom_x = 0, zoom_y = 0, angle = 0, shift_x = 0, shift_y = 0;  // zoom: log2; shift: shares of the side
  double gain = 0, depth_gain = 0, shadow = 0, shadow_at = 0;

  bool moves() const { return zoom_x != 0 || zoom_y != 0 || angle != 0 || shift_x != 0 || shift_y != 0; }
  bool shades() const { return gain != 0 || depth_gain != 0 || shadow != 0; }
};

// All are drawn always, so that one kind doesn't change the others.
Change draw_change(double probability, Random& random) {
  const auto chosen = [&] { return random.uniform() < probability; };
  Change change;
  const bool zooms = chosen(), turns = chosen(), shifts = chosen(), gains = chosen(), deepens = chosen(),
             shadows = chosen();
  const double zoom = random.normal() * kZoom, stretch = random.normal() * kZoom / 2;
  const double angle = random.uniform(-kTurn, kTurn), x = random.normal() * kShift, y = random.normal() * kShift;
  const double gain = random.normal() * kGain, depth_gain = random.normal() * kDepthGain;
  const double shadow = random.uniform(kLeastShadow, kMostShadow), at = random.uniform(-1, 1);
  if (zooms) change.zoom_x = zoom + stretch, change.zoom_y = zoom - stretch;
  if (turns) change.angle = angle;
  if (shifts) change.shift_x = x, change.shift_y = y;
  if (gains) change.gain = gain;
  if (deepens) change.depth_gain = depth_gain;
  if (shadows) change.shadow = shadow, change.shadow_at = at;
  return change;
}

// Values of one channel of `channels` between pixels: linear, `outside` beyond the border.
float between(const float* values, int64_t size, int64_t channels, double row, double column, float outside) {
  const int64_t top = int64_t(std::floor(row)), left = int64_t(std::floor(column));
  const auto at = [&](int64_t r, int64_t c) {
    const bool inside = r >= 0 && c >= 0 && r < size && c < size;
    return inside ? values[(r * size + c) * channels] : outside;
  };
  const float down = float(row - double(top)), right = float(column - double(left));
  return (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
         down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1));
}

void move(const Change& change, int64_t size, int64_t plane_count, float* image, float* planes) {
  const std::vector<float> image_before(image, image + size * size);
  const std::vector<float> planes_before(planes, planes + size * size * plane_count);
  const double middle = double(size - 1) / 2, cosine = std::cos(change.angle), sine = std::sin(change.angle);
  const double zoom_x = std::exp2(change.zoom_x), zoom_y = std::exp2(change.zoom_y);
  for (int64_t row = 0; row < size; ++row)
    for (int64_t column = 0; column < size; ++column) {
      // Where the pixel comes from: shift, turn and zoom undone.
      const double x = double(column) - middle - change.shift_x * double(size);
      const double y = double(row) - middle - change.shift_y * double(size);
      const double from_column = middle + (cosine * x + sine * y) / zoom_x;
      const double from_row = middle + (cosine * y - sine * x) / zoom_y;
      image[row * size + column] = between(image_before.data(), size, 1, from_row, from_column, -1);
      for (int64_t p = 0; p < plane_count; ++p)
        planes[(row * size + column) * plane_count + p] =
            between(planes_before.data() + p, size, plane_count, from_row, from_column, 0) >= 0.5f ? 1.0f : 0.0f;
    }
}

void shade(const Change& change, int64_t size, int64_t plane_count, float* image, const float* planes) {
  for (int64_t row = 0; row < size; ++row) {
    const double depth = (double(row) + 0.5) / double(size) - 0.5;
    const double gain = std::exp2(change.gain + change.depth_gain * depth);
    for (int64_t column = 0; column < size; ++column) {
      if (planes[(row * size + column + 1) * plane_count - 1] == 0) continue;
      const double across = (2 * double(column) + 1) / double(size) - 1 - change.shadow_at;
      const double lost = change.shadow * std::exp(-across * across / (2 * kShadowWidth * kShadowWidth));
      float& value = image[row * size + column];
      const double grey = std::max(0.0, (double(value) + 1) / 2) * gain * (1 - lost);
      value = float(std::min(1.0, grey) * 2 - 1);
    }
  }
}

void black_outside(int64_t size, int64_t plane_count, float* image, const float* planes) {
  for (int64_t i = 0; i < size * size; ++i)
    if (planes[(i + 1) * plane_count - 1] == 0) image[i] = -1;
}

}  // namespace

void augment_and_tell(double probability, Random random, int64_t size, int64_t plane_count, float* image, float* planes,
                      float* labels) {
  const Change change = draw_change(probability, random);
  if (change.moves()) {
    move(change, size, plane_count, image, planes);
    black_outside(size, plane_count, image, planes);
  }
  if (change.shades()) shade(change, size, plane_count, image, planes);
  const double told[kAugmentLabels] = {
      change.zoom_x,  change.zoom_y, std::cos(change.angle) - 1, std::sin(change.angle), change.shift_x,
      change.shift_y, change.gain,   change.depth_gain,          change.shadow,          change.shadow_at};
  std::copy(told, told + kAugmentLabels, labels);
}

}  // namespace echodiff
