#include "dtrain/copy_meter.h"

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
    : training_(images_of(data, "train")), held_out_(training_.nearest_to(images_of(data, "val"))) {}

double CopyMeter::share(const std::vector<GrayImage>& samples) const {
  return double(memorisation(training_.nearest_to(samples), held_out_).copies) / double(samples.size());
}

}  // namespace echodiff
