#include "quality/evaluate/texture.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "kernels/thread_pool.h"
#include "quality/evaluate/distribution.h"

namespace echodiff {
namespace {

constexpr size_t kLeastRows = 4;  // three are left without a fold

double mean_power(const std::vector<PictureTexture>& pictures, size_t band) {
  double sum = 0;
  for (const PictureTexture& one : pictures) sum += one.power[band];
  return sum / double(pictures.size());
}

// Of the bands that the pictures' size has.
std::vector<Estimate> powers(const std::vector<PictureTexture>& pictures) {
  std::vector<Estimate> out;
  for (size_t band = 0; band < size_t(kBands); ++band) {
    std::vector<double> values;
    for (const PictureTexture& one : pictures) values.push_back(one.power[band]);
    out.push_back(std::isnan(mean_power(pictures, band)) ? Estimate{} : mean_of(values));
  }
  return out;
}

// NaN where the real pictures have no power.
Estimate power_ratio(const std::vector<PictureTexture>& samples, const std::vector<PictureTexture>& real, size_t band) {
  return bootstrap({samples.size(), real.size()}, [&](const std::vector<size_t>& drawn) {
    RatioTerm mean;
    for (const size_t i : drawn) {
      if (i < samples.size())
        mean.numerator += samples[i].power[band] / double(samples.size());
      else
        mean.denominator += real[i - samples.size()].power[band] / double(real.size());
    }
    return mean.denominator > 0 ? mean.numerator / mean.denominator : kNotGiven;
  });
}

using SpeckleValue = double Speckle::*;

std::vector<double> defined(const std::vector<PictureTexture>& pictures, SpeckleValue member) {
  std::vector<double> values;
  for (const PictureTexture& one : pictures)
    if (!std::isnan(one.speckle.*member)) values.push_back(one.speckle.*member);
  return values;
}

Compared compared(const std::vector<PictureTexture>& samples, const std::vector<PictureTexture>& real,
                  SpeckleValue member) {
  Compared result;
  const std::vector<double> ours = defined(samples, member), theirs = defined(real, member);
  if (ours.empty()) return result;
  const Measure one = mean_of(ours);
  result.value = one;
  if (theirs.empty()) return result;
  const Measure other = mean_of(theirs);
  result.minus_real = Measure{one.value - other.value, std::hypot(one.error, other.error)};
  return result;
}

void compare_speckle(const std::vector<PictureTexture>& samples, const std::vector<PictureTexture>& real,
                     Texture& texture) {
  texture.mean_grey = compared(samples, real, &Speckle::mean_grey);
  texture.signal_to_noise = compared(samples, real, &Speckle::signal_to_noise);
  texture.lateral_width = compared(samples, real, &Speckle::lateral_width);
  texture.axial_width = compared(samples, real, &Speckle::axial_width);
}

// Of the pictures whose features are all defined.
Rows radiomic_rows(const std::vector<PictureTexture>& pictures) {
  Rows rows;
  for (const PictureTexture& one : pictures) {
    const std::vector<double>& values = one.radiomics;
    if (values.empty() || !std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); }))
      continue;
    rows.values.insert(rows.values.end(), values.begin(), values.end());
    rows.width = int64_t(values.size());
    ++rows.count;
  }
  return rows;
}

struct Scale {
  int64_t feature = 0;
  double mean = 0, deviation = 0;
};

// Of the features that vary.
std::vector<Scale> scales_of(const Rows& real) {
  std::vector<Scale> scales;
  for (int64_t feature = 0; feature < real.width; ++feature) {
    Scale scale{feature};
    for (int64_t i = 0; i < real.count; ++i) scale.mean += real.row(i)[feature] / double(real.count);
    for (int64_t i = 0; i < real.count; ++i) scale.deviation += std::pow(real.row(i)[feature] - scale.mean, 2);
    scale.deviation = std::sqrt(scale.deviation / double(real.count - 1));
    if (scale.deviation > 1e-9 * std::abs(scale.mean)) scales.push_back(scale);
  }
  return scales;
}

Rows scaled(const Rows& rows, const std::vector<Scale>& scales) {
  Rows out{rows.count, int64_t(scales.size()), {}};
  for (int64_t i = 0; i < rows.count; ++i)
    for (const Scale& scale : scales)
      out.values.push_back(
          std::clamp((rows.row(i)[scale.feature] - scale.mean) / scale.deviation, -kFarthest, kFarthest));
  return out;
}

}  // namespace

std::vector<PictureTexture> textures_of(const std::vector<GrayImage>& images, const std::vector<GrayImage>& sectors,
                                        const RadiomicOptions& options) {
  check(images.size() == sectors.size(), "textures_of: ", images.size(), " pictures and ", sectors.size(), " sectors");
  std::vector<PictureTexture> out(images.size());
  parallel_for(int64_t(images.size()), [&](int64_t i) {
    PictureTexture& one = out[size_t(i)];
    const GrayImage &image = images[size_t(i)], &sector = sectors[size_t(i)];
    one.power = band_powers(image);
    if (sector.pixels.empty()) return;
    one.speckle = speckle_of(image, sector);
    for (const auto& [name, value] : radiomic_features(image, sector, options)) one.radiomics.push_back(value);
  });
  return out;
}

Texture texture_alone(const std::vector<PictureTexture>& pictures) {
  Texture texture;
  if (pictures.empty()) return texture;
  texture.power = powers(pictures);
  compare_speckle(pictures, {}, texture);
  return texture;
}

Texture texture_against(const std::vector<PictureTexture>& samples, const std::vector<PictureTexture>& real) {
  Texture texture = texture_alone(samples);
  if (samples.empty() || real.empty()) return texture;
  for (size_t band = 0; band < size_t(kBands); ++band)
    texture.power_over_real.push_back(power_ratio(samples, real, band));
  compare_speckle(samples, real, texture);
  const Rows ours = radiomic_rows(samples), theirs = radiomic_rows(real);
  if (size_t(std::min(ours.count, theirs.count)) >= kLeastRows)
    texture.radiomic_distance = radiomic_distance(ours, theirs);
  return texture;
}

Measure radiomic_distance(const Rows& samples, const Rows& real) {
  check_input(size_t(std::min(samples.count, real.count)) >= kLeastRows, Fault::kBadInput,
              "radiomic distance: at least ", kLeastRows, " samples and real pictures are needed, found ",
              samples.count, " and ", real.count);
  check(samples.width == real.width, "radiomic_distance: samples have ", samples.width, " features, real pictures ",
        real.width);
  return grouped_jackknife(samples, real, [](const Rows& some, const Rows& against) {
    const std::vector<Scale> scales = scales_of(against);
    return scales.empty() ? kNotGiven : frechet_value(scaled(some, scales), scaled(against, scales));
  });
}

}  // namespace echodiff
