// Where which tissue of a phantom lies. Lengths in units of the imaging depth; y downwards from the probe's face.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels/philox.h"

namespace echodiff::phantom {

struct Point {
  double x, y;
};

// The fan of a convex probe: beams leave an arc of radius `probe_radius` (its centre above the picture) at angles
// -half_angle .. half_angle and run one depth.
struct Fan {
  double probe_radius, half_angle;

  Point point(double depth, double angle) const;
  double depth_of(Point p) const;
  double angle_of(Point p) const;
  bool holds(Point p) const;
};

// Smooth noise, about standard normal, from a periodic lattice of random values.
class LatticeNoise {
 public:
  explicit LatticeNoise(Random& random);
  double operator()(double x, double y) const;

 private:
  static constexpr int64_t kSide = 32;
  std::array<float, size_t(kSide* kSide)> values_;
};

// A closed outline around a centre: radius as a function of direction (an ellipse times a short Fourier series).
struct Blob {
  Point centre;
  double radius_x, radius_y, tilt_cosine, tilt_sine;
  std::array<double, 4> cosine, sine;  // harmonics 2..5, as shares of the radius

  double distance(Point p) const;  // about: negative inside
};

// A vessel: a bent line of discs.
struct Tube {
  std::vector<Point> points;
  std::vector<double> radii;
  double left, right, top, bottom;  // what it can reach, walls included

  double distance(Point p) const;  // to its surface: negative in the lumen; large when far away
};

struct Streak {  // a short bright echo across the beam (portal triad, fascia)
  double depth, angle, length, decibel;
};

enum class Tissue { kSkin, kFat, kMuscle, kBackground, kLiver, kVein, kKidney, kSinus, kLung };

struct Sample {
  Tissue tissue;
  double wall;       // share of a vessel wall, 0..1, more where the beam meets it squarely
  double interface;  // the same for capsule, diaphragm and fascia: amplitude relative to liver
};

class Anatomy {
 public:
  Anatomy(Random& random, const Fan& fan);
  // `p` is the fan's point (depth, angle), `beam` the direction of the beam there (length 1).
  Sample at(Point p, double depth, double angle, Point beam) const;
  Tissue tissue(Point p, double depth, double angle) const;  // at().tissue, cheaper
  const std::vector<Streak>& streaks() const { return streaks_; }

 private:
  // Signed distances to everything there is, negative inside.
  struct Distances {
    double liver, vein, kidney;
  };
  Distances distances(Point p) const;
  Tissue classify(const Distances& to, Point p, double depth, double angle) const;
  double layer_end(size_t layer, double angle) const;
  double diaphragm_share(Point p) const;
  double vein_distance(Point p) const;
  void draw_vessels(Random& random);
  void draw_streaks(Random& random, const Fan& fan);

  std::array<double, 3> layer_depth_, layer_wave_, layer_phase_;  // where skin, fat and muscle end
  double wall_depth_;                                             // below it none of them is left
  Blob liver_, kidney_;
  bool has_kidney_, has_diaphragm_;
  double diaphragm_from_, diaphragm_to_, diaphragm_strength_;  // directions seen from the liver's centre
  std::vector<Tube> veins_;
  std::vector<Streak> streaks_;
};

}  // namespace echodiff::phantom
