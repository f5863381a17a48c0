#include "train/phantom/phantom.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "train/phantom/scan.h"

namespace echodiff {
namespace {

using phantom::Fan;
using phantom::Point;
using phantom::PolarImage;
using phantom::Tissue;

// Places the fan in the picture: pixel coordinates to depths.
struct View {
  Fan fan;
  double left, top, scale;  // of pixel coordinate 0, and depths a pixel

  Point point(double column, double row) const { return {left + scale * column, top + scale * row}; }
};

View draw_view(Random& random, int64_t size) {
  const Fan fan{random.uniform(0.26, 0.36), random.uniform(0.50, 0.60)};
  const double left = -(fan.probe_radius + 1) * std::sin(fan.half_angle);
  const double top = fan.probe_radius * (std::cos(fan.half_angle) - 1);  // the arc's ends lie above its middle
  const double width = -2 * left, height = 1 - top;
  const double side = std::max(width, height) * random.uniform(1.01, 1.06);
  return {fan, left - (side - width) * random.uniform(0.3, 0.7), top - (side - height) * random.uniform(0.2, 0.6),
          side / double(size)};
}

// Bilinear, clamped at the rim.
double grey_at(const PolarImage& image, double depth, double share) {
  const double row = std::clamp(depth * double(image.samples) - 0.5, 0.0, double(image.samples - 1));
  const double column = std::clamp(share * double(image.beams) - 0.5, 0.0, double(image.beams - 1));
  const int64_t i = std::min(int64_t(row), image.samples - 2), j = std::min(int64_t(column), image.beams - 2);
  const double a = row - double(i), b = column - double(j);
  const float* at = image.grey.data() + i * image.beams + j;
  return (1 - a) * ((1 - b) * at[0] + b * at[1]) + a * ((1 - b) * at[image.beams] + b * at[image.beams + 1]);
}

// The mean grey of one pixel's area within the fan.
double pixel_grey(const PolarImage& polar, const View& view, int64_t column, int64_t row, int64_t parts) {
  double sum = 0;
  int64_t count = 0;
  for (int64_t i = 0; i < parts; ++i) {
    for (int64_t j = 0; j < parts; ++j) {
      const Point p = view.point(double(column) + (double(j) + 0.5) / double(parts),
                                 double(row) + (double(i) + 0.5) / double(parts));
      const double depth = view.fan.depth_of(p), share = 0.5 + 0.5 * view.fan.angle_of(p) / view.fan.half_angle;
      if (depth < 0 || depth > 1 || share < 0 || share > 1) continue;
      sum += grey_at(polar, depth, share);
      ++count;
    }
  }
  return count == 0 ? 0 : sum / double(count);
}

}  // namespace

Phantom make_phantom(const PhantomOptions& options, int64_t index) {
  const int64_t size = options.size;
  check_input(size >= 16 && size <= 1024, Fault::kUsage, "phantom size ", size, ", expected 16 to 1024 pixels");
  check(index >= 0, "make_phantom: index ", index, ", expected 0 or more");
  Random geometry(options.seed, uint64_t(index), 0), taking(options.seed, uint64_t(index), 1);
  const View view = draw_view(geometry, size);
  const phantom::Anatomy anatomy(geometry, view.fan);
  const phantom::ScanSettings settings = phantom::draw_settings(taking, view.fan);
  // Small pictures are averaged down from a finer scan, as real ones are; large ones need a grid that keeps up.
  const int64_t samples = std::max(int64_t{128}, size * 5 / 4), beams = std::max(int64_t{112}, size);
  const PolarImage polar = scan(anatomy, view.fan, settings, samples, beams, options.seed, uint64_t(index));
  const int64_t parts = size <= 96 ? 3 : 2;

  const GrayImage black{size, size, std::vector<uint8_t>(size_t(size * size))};
  Phantom result{black, black, black, settings.quality, settings.defect};
  for (int64_t row = 0; row < size; ++row) {
    for (int64_t column = 0; column < size; ++column) {
      const Point p = view.point(double(column) + 0.5, double(row) + 0.5);
      if (!view.fan.holds(p)) continue;
      result.sector.at(row, column) = 255;
      result.image.at(row, column) =
          uint8_t(std::lround(std::clamp(pixel_grey(polar, view, column, row, parts), 0.0, 255.0)));
      const Tissue tissue = anatomy.tissue(p, view.fan.depth_of(p), view.fan.angle_of(p));
      if (tissue == Tissue::kLiver) result.mask.at(row, column) = kLiverValue;
      if (tissue == Tissue::kVein) result.mask.at(row, column) = kPortalVeinValue;
    }
  }
  return result;
}

}  // namespace echodiff
