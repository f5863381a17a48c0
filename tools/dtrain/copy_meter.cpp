#include "dtrain/copy_meter.h"

#include <algorithm>

namespace echodiff {
namespace {

std::vector<GrayImage> images_of(const Dataset& data, const std::string& split) {
  std::vector<GrayImage> images;
  for (const Example& example : data.examples)
    if (example.split == split) images.push_back(example.image);
  return images;
}

}  // namespace

CopyMeter::CopyMeter(const Dataset& data)
    : training_(images_of(data, "train")), distance_(copy_distance(training_.nearest_to(images_of(data, "val")))) {}

double CopyMeter::share(const std::vector<GrayImage>& samples) const {
  const std::vector<Nearest> pairs = training_.nearest_to(samples);
  const int64_t copies =
      std::count_if(pairs.begin(), pairs.end(), [this](const Nearest& pair) { return pair.distance < distance_; });
  return double(copies) / double(pairs.size());
}

}  // namespace echodiff
