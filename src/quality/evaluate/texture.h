// Measures of how pictures look that no network makes: power spectrum, speckle, mean grey and radiomic features, of
// samples beside those of real pictures.
#pragma once

#include <array>
#include <vector>

#include "quality/evaluate/rows.h"
#include "quality/evaluate/speckle.h"
#include "quality/evaluate/spectrum.h"
#include "quality/radiomics/radiomics.h"
#include "quality/statistics/estimates.h"

namespace echodiff {

// A measure's mean over the pictures that it is defined for, and that less the real pictures' (independent samples).
struct Compared {
  Estimate value, minus_real;
};

// What isn't measured is NaN, or an empty list.
struct Texture {
  std::vector<Estimate> power;            // by band of spectrum.h: the mean over pictures, grey levels^2
  std::vector<Estimate> power_over_real;  // that over the real pictures'; the bootstrap draws pictures of both
  Compared mean_grey, signal_to_noise, lateral_width, axial_width;  // speckle.h
  Estimate radiomic_distance;
};

struct PictureTexture {
  std::array<double, kBands> power;
  Speckle speckle;
  std::vector<double> radiomics;  // empty without a sector
};

// sectors[i]: of images[i], of its size; empty where nobody knows it: then only the power is measured.
std::vector<PictureTexture> textures_of(const std::vector<GrayImage>& images, const std::vector<GrayImage>& sectors,
                                        const RadiomicOptions& options = {});

// Power and the speckle's values alone.
Texture texture_alone(const std::vector<PictureTexture>& pictures);
// All of it, of samples against real pictures.
Texture texture_against(const std::vector<PictureTexture>& samples, const std::vector<PictureTexture>& real);

// The Frechet distance (distribution.h) of radiomic features, each as its distance from the real pictures' mean in
// units of their deviation, clamped to +-kFarthest: one flat picture must not be the whole distance. Features that
// don't vary among the real pictures are left out; NaN where none does. It falls as pictures are added: compare equal
// numbers. The error is the grouped jackknife's, the scale made anew each time. The bootstrap draws pictures twice,
// whose covariance is smaller, so its interval misses its own value. Throws Error(kBadInput) for fewer than 4 rows in
// either.
inline constexpr double kFarthest = 5;
Measure radiomic_distance(const Rows& samples, const Rows& real);

}  // namespace echodiff
