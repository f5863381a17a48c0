// What no scorer is asked for: does a picture look like the real ones at all, and is it one of the training set?
#pragma once

#include <string>
#include <vector>

#include "quality/evaluate/memorisation.h"
#include "quality/evaluate/rows.h"

namespace echodiff {

// Grey statistics of the pixels inside the sector, one row a picture: mean, contrast, skewness, log of sharpness and of
// noise (metrics.h), correlation with the right and the lower neighbour, share of black and of white, peak of
// the Laplacian over its deviation, contrast of an 8x8 thumbnail over contrast, energy outside of the sector.
std::vector<double> grey_statistics(const GrayImage& image, const GrayImage& sector);

// A one-class judge, fitted on real pictures only: it has seen no sample and no attack.
class Guard {
 public:
  struct Pictures {
    std::vector<GrayImage> images, sectors;  // one sector a picture
  };

  // Mean and covariance of grey_statistics are those of `training`; a picture is "unlike" when its Mahalanobis distance
  // is above the `quantile` of `validation`'s, and a "copy" when it is nearer to a training picture than
  // copy_distance of `validation`. Throws Error(kBadInput) for fewer than 30 training or 10 validation pictures.
  Guard(const Pictures& training, const Pictures& validation, double quantile);

  // "unlike", "copy", or "" when nothing speaks against it, for each picture.
  std::vector<std::string> flags(const Pictures& pictures) const;

  double limit() const { return limit_; }            // of the Mahalanobis distance
  double copy_limit() const { return copy_limit_; }  // of the thumbnails' distance

 private:
  double strangeness(const GrayImage& image, const GrayImage& sector) const;

  TrainingSet training_;
  std::vector<double> mean_;
  Rows whitening_;  // (statistics, statistics): its product with a deviation has the Mahalanobis length
  double limit_ = 0, copy_limit_ = 0;
};

}  // namespace echodiff
