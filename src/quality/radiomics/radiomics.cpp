#include "quality/radiomics/radiomics.h"

#include <algorithm>
#include <cstdio>

#include "kernels/error.h"
#include "quality/radiomics/first_order.h"
#include "quality/radiomics/glcm.h"
#include "quality/radiomics/glrlm.h"
#include "quality/radiomics/grey_levels.h"
#include "quality/radiomics/laplacian_of_gaussian.h"
#include "quality/radiomics/ngtdm.h"

namespace echodiff {
namespace {

void append(const std::string& name, const Features& family, Features& all) {
  for (const auto& [feature, value] : family) all.emplace_back(name + "_" + feature, value);
}

void append_families(const std::string& filter, const std::vector<double>& values, const GreyLevels& levels,
                     Features& all) {
  append(filter + "_firstorder", first_order(values, levels), all);
  append(filter + "_glcm", glcm_features(levels), all);
  append(filter + "_glrlm", glrlm_features(levels), all);
  append(filter + "_ngtdm", ngtdm_features(levels), all);
}

}  // namespace

Features radiomic_features(const GrayImage& image, const GrayImage& sector, const RadiomicOptions& options) {
  check(image.width == sector.width && image.height == sector.height, "radiomic_features: the picture is ", image.width,
        "x", image.height, ", its sector ", sector.width, "x", sector.height);
  std::vector<bool> inside;
  for (const uint8_t pixel : sector.pixels) inside.push_back(pixel != 0);
  Features all;
  const auto add = [&](const std::string& filter, const std::vector<double>& values) {
    append_families(filter, values, grey_levels(values, inside, image.height, image.width, options.bin_width), all);
  };
  add("original", {image.pixels.begin(), image.pixels.end()});
  for (const double sigma : options.sigmas) {
    char name[32];
    std::snprintf(name, sizeof name, "log%g", sigma);
    add(name, laplacian_of_gaussian(image, sigma));
  }
  return all;
}

}  // namespace echodiff
