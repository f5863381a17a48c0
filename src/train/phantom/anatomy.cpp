#include "train/phantom/anatomy.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace echodiff::phantom {
namespace {

constexpr double kFar = 1e3;
constexpr double kVeinMargin = 0.02;  // of liver between a vein and the capsule
constexpr double kWall = 0.013;       // thickness of a vessel wall and reach of its echo
constexpr double kCapsule = 0.004;    // of the liver's border
constexpr double kDiaphragm = 0.009;
constexpr double kProbe = 0.004;  // along the beam, to see how squarely it meets a surface

// std::hypot guards against overflow, which costs a fifth of the whole picture's time here.
double norm(double x, double y) { return std::sqrt(x * x + y * y); }

double bell(double distance, double width) {
  const double x = distance / width;
  return std::abs(x) > 4 ? 0 : std::exp(-0.5 * x * x);
}

// How squarely a beam meets a surface, from the surface's distance here and `step` further along the beam: 1 for a
// reflector across the beam, a tenth for one along it (which scatters, but mirrors nothing back).
double squareness(double here, double further, double step) {
  const double cosine = std::min(1.0, std::abs(further - here) / step);
  return 0.1 + 0.9 * cosine * cosine * cosine;
}

Blob draw_blob(Random& random, Point centre, double radius_x, double radius_y, double tilt, double roughness) {
  Blob blob{centre, radius_x, radius_y, std::cos(tilt), std::sin(tilt), {}, {}};
  for (size_t k = 0; k < blob.cosine.size(); ++k) {
    const double share = roughness / double(k + 1);
    blob.cosine[k] = share * random.uniform(-1, 1);
    blob.sine[k] = share * random.uniform(-1, 1);
  }
  return blob;
}

// A quadratic Bezier curve from `start` along `direction`, bent by `bend` radians on its way.
Tube draw_tube(Point start, double direction, double bend, double length, double radius, double taper) {
  constexpr int kSegments = 10;
  const Point middle{start.x + 0.5 * length * std::cos(direction), start.y + 0.5 * length * std::sin(direction)};
  const Point end{middle.x + 0.5 * length * std::cos(direction + bend),
                  middle.y + 0.5 * length * std::sin(direction + bend)};
  Tube tube{{}, {}, kFar, -kFar, kFar, -kFar};
  for (int i = 0; i <= kSegments; ++i) {
    const double t = double(i) / kSegments, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), c = t * t;
    const Point p{a * start.x + b * middle.x + c * end.x, a * start.y + b * middle.y + c * end.y};
    // Rounded at its start, tapering to its end.
    const double r = radius * (1 - (1 - taper) * t) * std::min(1.0, 0.5 + 2.5 * t), reach = r + 4 * kWall;
    tube.points.push_back(p);
    tube.radii.push_back(r);
    tube.left = std::min(tube.left, p.x - reach);
    tube.right = std::max(tube.right, p.x + reach);
    tube.top = std::min(tube.top, p.y - reach);
    tube.bottom = std::max(tube.bottom, p.y + reach);
  }
  return tube;
}

}  // namespace

Point Fan::point(double depth, double angle) const {
  const double r = probe_radius + depth;
  return {r * std::sin(angle), r * std::cos(angle) - probe_radius};
}
double Fan::depth_of(Point p) const { return norm(p.x, p.y + probe_radius) - probe_radius; }
double Fan::angle_of(Point p) const { return std::atan2(p.x, p.y + probe_radius); }
bool Fan::holds(Point p) const {
  const double depth = depth_of(p);
  return depth >= 0 && depth <= 1 && std::abs(angle_of(p)) <= half_angle;
}

LatticeNoise::LatticeNoise(Random& random) {
  for (float& value : values_) value = float(random.normal());
}

double LatticeNoise::operator()(double x, double y) const {
  const double floor_x = std::floor(x), floor_y = std::floor(y);
  const double u = x - floor_x, v = y - floor_y;
  const double a = u * u * (3 - 2 * u), b = v * v * (3 - 2 * v);
  const auto value = [&](int64_t i, int64_t j) {
    return double(values_[size_t((j & (kSide - 1)) * kSide + (i & (kSide - 1)))]);
  };
  const int64_t i = int64_t(floor_x), j = int64_t(floor_y);
  const double mix = (1 - b) * ((1 - a) * value(i, j) + a * value(i + 1, j)) +
                     b * ((1 - a) * value(i, j + 1) + a * value(i + 1, j + 1));
  return 1.35 * mix;  // interpolation lowers the deviation of the lattice to about 0.74
}

double Blob::distance(Point p) const {
  const double dx = p.x - centre.x, dy = p.y - centre.y;
  const double u = tilt_cosine * dx + tilt_sine * dy, v = tilt_cosine * dy - tilt_sine * dx;
  const double r = norm(u, v);
  if (r < 1e-9) return -std::min(radius_x, radius_y);
  const double cos1 = u / r, sin1 = v / r;
  double shape = 1, cos_k = cos1, sin_k = sin1;
  for (size_t k = 0; k < cosine.size(); ++k) {  // the angle sums give cos(k phi), sin(k phi) without atan2
    const double next = cos_k * cos1 - sin_k * sin1;
    sin_k = sin_k * cos1 + cos_k * sin1;
    cos_k = next;
    shape += cosine[k] * cos_k + sine[k] * sin_k;
  }
  return r - shape / norm(cos1 / radius_x, sin1 / radius_y);
}

double Tube::distance(Point p) const {
  if (p.x < left || p.x > right || p.y < top || p.y > bottom) return kFar;
  double nearest = kFar;
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    const double ex = points[i + 1].x - points[i].x, ey = points[i + 1].y - points[i].y;
    const double px = p.x - points[i].x, py = p.y - points[i].y;
    const double t = std::clamp((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0);
    nearest = std::min(nearest, norm(px - t * ex, py - t * ey) - (radii[i] + t * (radii[i + 1] - radii[i])));
  }
  return nearest;
}

Anatomy::Anatomy(Random& random, const Fan& fan) {
  layer_depth_ = {random.uniform(0.014, 0.024), random.uniform(0.045, 0.085), random.uniform(0.10, 0.17)};
  wall_depth_ = 0;
  for (size_t layer = 0; layer < 3; ++layer) {
    layer_wave_[layer] = layer == 0 ? 0 : random.uniform(0.002, 0.012);
    layer_phase_[layer] = random.uniform(0, 2 * std::numbers::pi);
    wall_depth_ = std::max(wall_depth_, layer_depth_[layer] + layer_wave_[layer]);
  }
  // Large: part of its outline lies beyond the wall or the fan, as nearly always.
  const double side_shift = random.uniform(-0.28, 0.28);
  const Point centre{side_shift, random.uniform(0.34, 0.46)};
  liver_ = draw_blob(random, centre, random.uniform(0.42, 0.68), random.uniform(0.28, 0.44), random.uniform(-0.6, 0.6),
                     0.13);
  has_kidney_ = random.uniform() < 0.35;
  const double side = random.uniform() < 0.5 ? -1 : 1;
  kidney_ = draw_blob(random, {side * random.uniform(0.22, 0.40), random.uniform(0.62, 0.78)},
                      random.uniform(0.15, 0.20), random.uniform(0.085, 0.11), -side * random.uniform(0.2, 0.7), 0.03);
  has_diaphragm_ = random.uniform() < 0.7;
  const double middle = 0.5 * std::numbers::pi + random.uniform(-0.7, 0.7), half = random.uniform(0.4, 0.9);
  diaphragm_from_ = middle - half;
  diaphragm_to_ = middle + half;
  diaphragm_strength_ = random.uniform(1.2, 2.6);
  draw_vessels(random);
  draw_streaks(random, fan);
}

void Anatomy::draw_vessels(Random& random) {
  if (random.uniform() < 0.04) return;  // now and then the vein lies outside the plane
  const double side = random.uniform() < 0.5 ? -1 : 1;
  const Point start{0.6 * liver_.centre.x + side * random.uniform(0.10, 0.22),
                    std::max(liver_.centre.y, 0.36) + random.uniform(0.0, 0.12)};
  // From the hilum towards the other side, a little upwards (negative y).
  const double direction = std::atan2(-random.uniform(0.0, 0.6), -side), bend = random.uniform(-1.1, 1.1);
  const double length = random.uniform(0.34, 0.50), radius = random.uniform(0.038, 0.052);
  veins_.push_back(draw_tube(start, direction, bend, length, radius, 0.75));
  const int64_t branches = random.below(3);
  for (int64_t branch = 0; branch < branches; ++branch) {
    const size_t joint = size_t(4 + random.below(5));
    const Point &from = veins_[0].points[joint], &before = veins_[0].points[joint - 1];
    const double heading = std::atan2(from.y - before.y, from.x - before.x);
    const double turn = (branch == 0 ? 1 : -1) * side * random.uniform(0.5, 1.1);
    veins_.push_back(draw_tube(from, heading + turn, random.uniform(-0.6, 0.6), random.uniform(0.16, 0.28),
                               veins_[0].radii[joint] * random.uniform(0.60, 0.80), 0.6));
  }
}

void Anatomy::draw_streaks(Random& random, const Fan& fan) {
  const int64_t count = 5 + random.below(12);
  for (int64_t i = 0; i < count; ++i) {
    const Streak streak{random.uniform(0.2, 0.85), random.uniform(-1, 1) * fan.half_angle, random.uniform(0.008, 0.035),
                        random.uniform(4, 13)};
    if (liver_.distance(fan.point(streak.depth, streak.angle)) < -0.03) streaks_.push_back(streak);
  }
}

double Anatomy::layer_end(size_t layer, double angle) const {
  return layer_depth_[layer] + layer_wave_[layer] * std::sin(5 * angle + layer_phase_[layer]);
}

double Anatomy::vein_distance(Point p) const {
  double nearest = kFar;
  for (const Tube& vein : veins_) nearest = std::min(nearest, vein.distance(p));
  return nearest;
}

// 1 where the liver's outline is covered by the diaphragm, fading to 0 at both of its ends.
double Anatomy::diaphragm_share(Point p) const {
  if (!has_diaphragm_ || p.y < liver_.centre.y) return 0;
  const double direction = std::atan2(p.y - liver_.centre.y, p.x - liver_.centre.x);
  return std::clamp(std::min(direction - diaphragm_from_, diaphragm_to_ - direction) / 0.25, 0.0, 1.0);
}

Anatomy::Distances Anatomy::distances(Point p) const {
  return {liver_.distance(p), vein_distance(p), has_kidney_ ? kidney_.distance(p) : kFar};
}

Tissue Anatomy::classify(const Distances& to, Point p, double depth, double angle) const {
  constexpr Tissue kLayers[] = {Tissue::kSkin, Tissue::kFat, Tissue::kMuscle};
  for (size_t layer = 0; depth < wall_depth_ && layer < 3; ++layer) {
    if (depth < layer_end(layer, angle)) return kLayers[layer];
  }
  if (to.kidney < 0) return to.kidney < -0.045 ? Tissue::kSinus : Tissue::kKidney;
  if (to.liver < 0) return to.liver < -kVeinMargin && to.vein < 0 ? Tissue::kVein : Tissue::kLiver;
  return diaphragm_share(p) > 0 ? Tissue::kLung : Tissue::kBackground;
}

Tissue Anatomy::tissue(Point p, double depth, double angle) const { return classify(distances(p), p, depth, angle); }

Sample Anatomy::at(Point p, double depth, double angle, Point beam) const {
  const Distances to = distances(p);
  Sample sample{classify(to, p, depth, angle), 0, 0};
  if (depth < wall_depth_ + 0.02) {
    for (size_t layer = 0; layer < 3; ++layer) {
      sample.interface += (layer == 2 ? 0.8 : 0.4) * bell(depth - layer_end(layer, angle), 0.003);
    }
    const bool in_wall =
        sample.tissue == Tissue::kSkin || sample.tissue == Tissue::kFat || sample.tissue == Tissue::kMuscle;
    if (in_wall) return sample;
  }
  const Point further{p.x + kProbe * beam.x, p.y + kProbe * beam.y};
  if (to.liver < -kVeinMargin && to.kidney > 0 && to.vein >= 0 && to.vein < 4 * kWall) {
    sample.wall =
        bell(to.vein - 0.5 * kWall, 0.5 * kWall) * (0.4 + 0.6 * squareness(to.vein, vein_distance(further), kProbe));
  }
  if (std::abs(to.liver) < 5 * kDiaphragm && to.kidney > 0) {
    const double share = diaphragm_share(p), width = kCapsule + share * (kDiaphragm - kCapsule);
    const double strength = 0.35 + share * (diaphragm_strength_ - 0.35);
    sample.interface +=
        strength * bell(to.liver - width, width) * squareness(to.liver, liver_.distance(further), kProbe);
  }
  if (std::abs(to.kidney) < 4 * kCapsule) {
    sample.interface += 0.35 * bell(to.kidney, kCapsule) * squareness(to.kidney, kidney_.distance(further), kProbe);
  }
  return sample;
}

}  // namespace echodiff::phantom
