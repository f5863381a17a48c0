// What no scorer is asked for: does a picture look like the real ones at all, and is it one of the training set?
#pragma once

#include <string>
#include <vector>

#include "quality/evaluate/memorisation.h"
#include "quality/evaluate/rows.h"

namespace echodiff {

// Grey statistics of the pixels inside the sector, one row a picture: mean, contrast, skewness, log of sharpness and of
// noise (metrics.h), correlation with the right and the lower neighbour, share of black and of white, peak of
// the Laplacian over its deviation, contrast of an 8x8 thumbnail over contrast, energy outside of the sector, by which
// power of its mean the deviation of 4x4 cells grows, jumps of the histogram from grey to grey.
std::vector<double> grey_statistics(const GrayImage& image, const GrayImage& sector);

// The share of the picture's sum of squared grey levels that lies where `sector` is 0, where a scan shows nothing; 0
// for a black picture. Throws Error(kInternal) when the sizes differ.
double outside_energy(const GrayImage& image, const GrayImage& sector);

// A one-class judge of what real pictures and, where given, honest samples look like: it has seen no attack.
class Guard {
 public:
  struct Pictures {
    std::vector<GrayImage> images, sectors;  // one sector a picture
  };

  // Both are known to it; `samples`, of which none was chosen, may be empty. A picture is "unlike" when its
  // grey_statistics lie farther from the five nearest known ones, in units of the known ones' covariance, than the
  // `quantile` of real pictures and that of samples do from theirs. It is a "copy" when it shares more detail
  // than copy_detail (memorisation.h) with a real picture. Throws Error(kBadInput) for fewer than 30 real pictures.
  Guard(const Pictures& real, const Pictures& samples, double quantile);

  // "unlike", "copy", or "" when nothing speaks against it, for each picture.
  std::vector<std::string> flags(const Pictures& pictures) const;

  double limit() const { return limit_; }  // of the distance to the known

 private:
  Rows whitened(const Rows& statistics) const;

  TrainingSet real_;
  Rows whitening_;  // (statistics, statistics): its product with a deviation has the Mahalanobis length
  Rows known_;      // (pictures, statistics), whitened
  double limit_ = 0, copy_limit_ = 0;  // the second of shared_detail
};

}  // namespace echodiff
