// What a scanner makes of an anatomy: grey levels on the grid of its beams.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/philox.h"
#include "train/phantom/anatomy.h"

namespace echodiff::phantom {

// Everything that differs from picture to picture in how it was taken.
struct ScanSettings {
  double quality;            // 0..1
  std::string defect;        // none, noise, blur, gain
  double liver_grey;         // grey level of average liver
  double dynamic_range;      // dB shown from black to white
  double noise;              // electronic noise at the probe, dB relative to liver
  double noise_rise;         // dB more at full depth
  double axial, lateral;     // point spread (standard deviations) at the focus, in depths
  double focus, focal_zone;  // depth of the focus, and how far from it the beam is sqrt(2) wider
  double speckle;            // share of the speckle left by the scanner's speckle reduction
  double gain_slope;         // dB at full depth: attenuation that the time gain leaves (negative) or overdoes
  double side_loss[2];       // dB lost at the left and right edge (poor contact)
  double shadow_angle, shadow_width, shadow_loss, shadow_start;  // loss 0: none
};

ScanSettings draw_settings(Random& random, const Fan& fan);

// Grey levels of `beams` x `samples` points of the fan.
struct PolarImage {
  int64_t samples, beams;
  std::vector<float> grey;  // (samples, beams): depth (row + 0.5) / samples, angles likewise; 0..255
};

// Speckle comes from streams (seed, index), steps 2 and up.
PolarImage scan(const Anatomy& anatomy, const Fan& fan, const ScanSettings& settings, int64_t samples, int64_t beams,
                uint64_t seed, uint64_t index);

}  // namespace echodiff::phantom
