#include "quality/evaluate/sector_energy.h"

#include "kernels/error.h"

namespace echodiff {

double outside_energy(const GrayImage& image, const GrayImage& sector) {
  check(image.width == sector.width && image.height == sector.height, "outside_energy: the picture is ", image.width,
        "x", image.height, ", its sector ", sector.width, "x", sector.height);
  double outside = 0, all = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const double energy = double(image.pixels[i]) * image.pixels[i];
    all += energy;
    if (sector.pixels[i] == 0) outside += energy;
  }
  return all > 0 ? outside / all : 0;
}

}  // namespace echodiff
