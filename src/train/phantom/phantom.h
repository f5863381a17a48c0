// Made-up abdominal B-mode ultrasound with exact masks: data to try everything on, without any patient.
// Physics-inspired, not a simulator: random scatterers (Rayleigh speckle) with a reflectivity per tissue, specular
// interfaces, attenuation and shadows along each beam, a point spread that widens away from the focus, electronic noise
// that grows with depth, log compression, speckle reduction as scanners do, and scan conversion to a convex sector.
// Wagner et al. 1983, "Statistics of speckle in ultrasound B-scans" for the statistics.
#pragma once

#include <cstdint>
#include <string>

#include "tensor/io/png.h"

namespace echodiff {

struct PhantomOptions {
  int64_t size = 64;  // pixels, both sides, 16..1024
  uint64_t seed = 1;
};

inline constexpr uint8_t kLiverValue = 1, kPortalVeinValue = 2;

struct Phantom {
  GrayImage image;     // exactly 0 outside the sector
  GrayImage mask;      // 0 background, kLiverValue, kPortalVeinValue
  GrayImage sector;    // 0 and 255
  double quality;      // 0 (poor) to 1, as drawn: 0.6 and more means no defect
  std::string defect;  // "none", "noise", "blur" or "gain": what makes a poor picture poor
};

// Picture number `index` (0 .. 2^31): depends on (seed, index, size) only, and shows the same anatomy at every size.
// Throws Error kUsage for a size out of range.
Phantom make_phantom(const PhantomOptions& options, int64_t index);

}  // namespace echodiff
