// How many samples are copies of training pictures, as dlabel evaluate counts them.
#pragma once

#include <vector>

#include "quality/evaluate/memorisation.h"
#include "train/data/dataset.h"

namespace echodiff {

class CopyMeter {
 public:
  // The data set's training pictures, and of its held-out ones (val) what counts as the same picture. There must be
  // some of both.
  explicit CopyMeter(const Dataset& data);
  double share(const std::vector<GrayImage>& samples) const;

 private:
  TrainingSet training_;
  std::vector<Nearest> held_out_;  // to them
};

}  // namespace echodiff
