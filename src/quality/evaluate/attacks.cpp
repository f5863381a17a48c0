#include "quality/evaluate/attacks.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/error.h"
#include "kernels/philox.h"
#include "quality/evaluate/distribution.h"
#include "quality/labels/metrics.h"
#include "quality/labels/thresholds.h"
#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/none.h"
#include "quality/statistics/estimates.h"
#include "train/data/image.h"
#include "train/data/loader.h"

namespace echodiff {
namespace {

std::vector<double> greys_inside(const GrayImage& image, const GrayImage& sector) {
  std::vector<double> greys;
  for (size_t i = 0; i < image.pixels.size(); ++i)
    if (sector.pixels[i] != 0) greys.push_back(image.pixels[i]);
  check(!greys.empty(), "attack: the sector has no pixel");
  return greys;
}

// grey(i) at every pixel i inside the sector, black outside.
template <class Grey> GrayImage painted(const GrayImage& sector, Grey grey) {
  GrayImage out = sector;
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = sector.pixels[i] != 0 ? to_byte(grey(i)) : 0;
  return out;
}

GrayImage empty_sector(const AttackSource& source) {
  const double mean = mean_of(greys_inside(source.image, source.sector)).value;
  return painted(source.sector, [&](size_t) { return mean; });
}

GrayImage median_filtered(const GrayImage& image) {
  GrayImage out = image;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      std::array<uint8_t, 9> around{};
      for (int64_t k = 0; k < 9; ++k)
        around[size_t(k)] = image.at(std::clamp<int64_t>(y + k / 3 - 1, 0, image.height - 1),
                                     std::clamp<int64_t>(x + k % 3 - 1, 0, image.width - 1));
      std::nth_element(around.begin(), around.begin() + 4, around.end());
      out.at(y, x) = around[4];
    }
  return out;
}

GrayImage contrast_stretched(const AttackSource& source) {
  const std::vector<double> greys = greys_inside(source.image, source.sector);
  const double low = quantile_of(greys, 0.05), high = std::max(low + 1, quantile_of(greys, 0.95));
  return painted(source.sector, [&](size_t i) { return (source.image.pixels[i] - low) * 255 / (high - low); });
}

// Fully developed speckle in decibels: the logarithm of a smooth complex Gaussian field's power.
GrayImage constant_speckle(const AttackSource& source, Random random) {
  const GrayImage& image = source.image;
  const size_t count = image.pixels.size();
  std::array<GrayImage, 2> field{image, image};
  for (GrayImage& part : field) {
    for (uint8_t& pixel : part.pixels) pixel = to_byte(128 + 40 * random.normal());
    part = gaussian_blur(part, 0.7);
  }
  std::vector<double> decibels(count);
  for (size_t i = 0; i < count; ++i) {
    const double real = field[0].pixels[i] - 128.0, imaginary = field[1].pixels[i] - 128.0;
    decibels[i] = std::log(real * real + imaginary * imaginary + 1);
  }
  double mean = 0, squares = 0;
  for (double value : decibels) mean += value / double(count);
  for (double value : decibels) squares += (value - mean) * (value - mean) / double(count);
  const double contrast = measure(image, {}, &source.sector).contrast;
  const double grey = mean_of(greys_inside(image, source.sector)).value;
  return painted(source.sector, [&](size_t i) { return grey + (decibels[i] - mean) / std::sqrt(squares) * contrast; });
}

GrayImage near_copy(const AttackSource& source, Random random) {
  GrayImage out = source.training;
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x)
      out.at(y, x) = to_byte(source.training.at(y, std::max<int64_t>(x - 1, 0)) + 2 * random.normal());
  return out;
}

}  // namespace

const std::vector<std::string>& attack_names() {
  static const std::vector<std::string> names{"empty_sector",     "blur_1", "blur_2",           "median",
                                              "contrast_stretch", "gamma",  "constant_speckle", "painted_mask",
                                              "near_copy",        "salt"};
  return names;
}

GrayImage attack(const std::string& name, const AttackSource& source, uint64_t seed) {
  const GrayImage& image = source.image;
  Random random(seed);
  if (name == "empty_sector") return empty_sector(source);
  if (name == "blur_1") return gaussian_blur(image, 1);
  if (name == "blur_2") return gaussian_blur(image, 2);
  if (name == "median") return median_filtered(image);
  if (name == "contrast_stretch") return contrast_stretched(source);
  if (name == "gamma")
    return painted(source.sector, [&](size_t i) { return 255 * std::sqrt(image.pixels[i] / 255.0); });
  if (name == "constant_speckle") return constant_speckle(source, random);
  if (name == "painted_mask")
    return painted(source.sector, [&](size_t i) { return std::min(60 + 60 * source.classes.pixels[i], 255); });
  if (name == "near_copy") return near_copy(source, random);
  check(name == "salt", "attack: no attack is called ", name);
  return painted(source.sector, [&](size_t i) { return random.below(50) == 0 ? 255 : image.pixels[i]; });
}

std::vector<GrayImage> predicted_attack(const Network& network, const Schedule& schedule, Prediction prediction,
                                        const std::vector<const Example*>& sources, uint64_t seed) {
  const int64_t t = std::max<int64_t>(1, schedule.T / 2) - 1;
  SamplerJob job;
  job.plan = make_tail(schedule, {.clip = true, .prediction = prediction}, t, 1);  // one step: x_0 is x0_hat
  job.policy = none_policy();
  job.count = int64_t(sources.size());
  std::vector<Tensor> pictures;
  for (const Example* source : sources) {
    pictures.push_back(to_tensor({&source->image}));
    job.conditions.push_back(condition_of(*source));
  }
  job.noise = es_ddpm_start(schedule, t, std::move(pictures), default_noise(seed));
  std::vector<GrayImage> images;
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) { images.push_back(record.image); };
  run_sampler(job, network, {}, hooks);
  return images;
}

}  // namespace echodiff
