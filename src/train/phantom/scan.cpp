#include "train/phantom/scan.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace echodiff::phantom {
namespace {

// Echo of a tissue in dB relative to liver, how patchy it is (dB), and attenuation in dB over one depth beyond liver's.
struct Acoustics {
  double echo, patch, loss;
};

Acoustics acoustics(Tissue tissue) {
  switch (tissue) {
    case Tissue::kSkin: return {5, 1, 0};
    case Tissue::kFat: return {-5, 4, 10};
    case Tissue::kMuscle: return {-4, 4, 15};
    case Tissue::kBackground: return {-3, 5, 8};
    case Tissue::kLiver: return {0, 1.0, 0};
    case Tissue::kVein: return {-34, 0, -32};
    case Tissue::kKidney: return {-5, 1, -4};
    case Tissue::kSinus: return {6, 3, 10};
    case Tissue::kLung: return {-13, 4, 20};
  }
  return {};
}

double amplitude(double decibel) { return std::exp(decibel * (std::log(10.0) / 20)); }

double smooth_step(double x) {
  const double t = std::clamp(x, 0.0, 1.0);
  return t * t * (3 - 2 * t);
}

std::vector<float> gaussian(double sigma) {
  const int64_t radius = std::max(int64_t{1}, int64_t(std::ceil(2.5 * sigma)));
  std::vector<float> kernel(size_t(2 * radius + 1));
  double energy = 0;
  for (int64_t i = -radius; i <= radius; ++i) {
    const double value = std::exp(-0.5 * double(i * i) / (sigma * sigma));
    kernel[size_t(i + radius)] = float(value);
    energy += value * value;
  }
  // Unit energy: independent scatterers keep their mean intensity whatever the width.
  for (float& value : kernel) value = float(value / std::sqrt(energy));
  return kernel;
}

// Convolves every row, of its own width, in place. Scatterers beyond the edge count as none.
void blur_rows(std::vector<float>& field, int64_t samples, int64_t beams,
               const std::vector<std::vector<float>>& kernels) {
  std::vector<float> row(static_cast<size_t>(beams));
  for (int64_t i = 0; i < samples; ++i) {
    float* values = field.data() + i * beams;
    std::copy(values, values + beams, row.begin());
    std::fill(values, values + beams, 0.0f);
    const std::vector<float>& kernel = kernels[size_t(i)];
    const int64_t radius = int64_t(kernel.size()) / 2;
    for (int64_t k = -radius; k <= radius; ++k) {
      const float weight = kernel[size_t(k + radius)];
      const int64_t begin = std::max(int64_t{0}, -k), end = std::min(beams, beams - k);
      for (int64_t j = begin; j < end; ++j) values[j] += weight * row[size_t(j + k)];
    }
  }
}

void blur_columns(std::vector<float>& field, int64_t samples, int64_t beams, const std::vector<float>& kernel) {
  const std::vector<float> source = field;
  const int64_t radius = int64_t(kernel.size()) / 2;
  std::fill(field.begin(), field.end(), 0.0f);
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t k = -radius; k <= radius; ++k) {
      if (i + k < 0 || i + k >= samples) continue;
      const float weight = kernel[size_t(k + radius)];
      const float* from = source.data() + (i + k) * beams;
      float* to = field.data() + i * beams;
      for (int64_t j = 0; j < beams; ++j) to[j] += weight * from[j];
    }
  }
}

// The 5 x 5 binomial mean, edges repeated.
std::vector<float> local_mean(const std::vector<float>& field, int64_t samples, int64_t beams) {
  constexpr float kWeights[5] = {1 / 16.0f, 4 / 16.0f, 6 / 16.0f, 4 / 16.0f, 1 / 16.0f};
  std::vector<float> rows(field.size()), mean(field.size());
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t k = -2; k <= 2; ++k) {
      const float* from = field.data() + std::clamp(i + k, int64_t{0}, samples - 1) * beams;
      float* to = rows.data() + i * beams;
      for (int64_t j = 0; j < beams; ++j) to[j] += kWeights[k + 2] * from[j];
    }
  }
  for (int64_t i = 0; i < samples; ++i) {
    const float* from = rows.data() + i * beams;
    float* to = mean.data() + i * beams;
    for (int64_t j = 0; j < beams; ++j) {
      for (int64_t k = -2; k <= 2; ++k) to[j] += kWeights[k + 2] * from[std::clamp(j + k, int64_t{0}, beams - 1)];
    }
  }
  return mean;
}

double beam_loss(const ScanSettings& settings, const Fan& fan, double angle) {
  const double share = angle / fan.half_angle;  // -1 .. 1
  return settings.side_loss[share < 0 ? 0 : 1] * smooth_step((std::abs(share) - 0.3) / 0.7);
}

// Rows by depth, columns by beam.
struct Grid {
  const Fan& fan;
  int64_t samples, beams;
  double step = 1.0 / double(samples), angle_step = 2 * fan.half_angle / double(beams);

  double depth(int64_t i) const { return (double(i) + 0.5) * step; }
  double angle(int64_t j) const { return (double(j) + 0.5) * angle_step - fan.half_angle; }
};

// Echoes before the point spread: independent scatterers, and interfaces that answer in phase (real part).
struct Field {
  std::vector<float> real, imaginary;
};

// Gain in dB at a point of a beam that has lost `lost` on its way there.
double gain_at(const ScanSettings& settings, double depth, double angle, double lost) {
  double gained = settings.gain_slope * depth - lost;
  if (settings.shadow_loss > 0 && depth > settings.shadow_start) {
    const double across = (angle - settings.shadow_angle) / settings.shadow_width;
    gained -= settings.shadow_loss * std::exp(-across * across) * smooth_step((depth - settings.shadow_start) / 0.1);
  }
  return gained;
}

// Turns the normal numbers in `field` into the echoes of the tissues. Returns the dB that each beam lost in the end.
std::vector<double> scatter(const Anatomy& anatomy, const Grid& grid, const ScanSettings& settings, Random& random,
                            Field& field) {
  const LatticeNoise patches(random), strands(random);
  // A wide point spread adds up more of an interface, but not of scatterers (unit energy): keep their ratio.
  const double mirror_gain = 4 * std::sqrt(0.0036 / settings.axial * 0.007 / settings.lateral);
  std::vector<double> loss;
  for (int64_t j = 0; j < grid.beams; ++j) {
    const double angle = grid.angle(j);
    const Point beam{std::sin(angle), std::cos(angle)};
    double lost = -beam_loss(settings, grid.fan, angle);  // dB so far
    for (int64_t i = 0; i < grid.samples; ++i) {
      const double depth = grid.depth(i), r = grid.fan.probe_radius + depth;
      const Point p{r * beam.x, r * beam.y - grid.fan.probe_radius};
      const Sample here = anatomy.at(p, depth, angle, beam);
      const Acoustics tissue = acoustics(here.tissue);
      const bool layered = here.tissue == Tissue::kFat || here.tissue == Tissue::kMuscle;
      const double texture = layered ? strands(6 * angle, 110 * depth) : patches(14 * p.x, 14 * p.y);
      const double gained = gain_at(settings, depth, angle, lost);
      lost += tissue.loss * grid.step;
      const double scattered = amplitude(tissue.echo + tissue.patch * texture + 9 * here.wall + gained);
      double mirror = 0;
      if (here.interface > 0) {  // uneven, as real surfaces are
        mirror =
            5 * here.interface * std::max(0.15, 0.6 + 0.5 * strands(16 * angle + 7, 20 * depth)) * amplitude(gained);
      }
      // Fibres across the beam mirror too.
      if (layered) mirror += 0.3 * mirror_gain * std::max(0.0, texture - 0.5) * amplitude(gained);
      float &real = field.real[size_t(i * grid.beams + j)], &imaginary = field.imaginary[size_t(i * grid.beams + j)];
      // Scatterers are complex normal of mean intensity 1; the interface adds in phase.
      real = float(real * scattered * std::sqrt(0.5) + mirror);
      imaginary = float(imaginary * scattered * std::sqrt(0.5));
    }
    loss.push_back(lost);
  }
  return loss;
}

void add_streaks(const Anatomy& anatomy, const Grid& grid, const ScanSettings& settings,
                 const std::vector<double>& loss, Field& field) {
  for (const Streak& streak : anatomy.streaks()) {
    const int64_t row = std::clamp(int64_t(streak.depth * double(grid.samples)), int64_t{0}, grid.samples - 1);
    const double half = 0.5 * streak.length / (grid.fan.probe_radius + streak.depth);
    for (int64_t j = 0; j < grid.beams; ++j) {
      const double off = (grid.angle(j) - streak.angle) / half;
      if (std::abs(off) > 2.5) continue;
      const double gained = settings.gain_slope * streak.depth - loss[size_t(j)];
      field.real[size_t(row * grid.beams + j)] +=
          float(amplitude(streak.decibel + gained) * std::exp(-0.5 * off * off));
    }
  }
}

// The point spread: narrowest across the beam at the focus.
void spread(const Grid& grid, const ScanSettings& settings, Field& field) {
  std::vector<std::vector<float>> beam_profiles;
  for (int64_t i = 0; i < grid.samples; ++i) {
    const double depth = grid.depth(i), off_focus = (depth - settings.focus) / settings.focal_zone;
    const double width = settings.lateral * std::sqrt(1 + off_focus * off_focus) / (grid.fan.probe_radius + depth);
    beam_profiles.push_back(gaussian(std::max(0.7, width / grid.angle_step)));
  }
  for (std::vector<float>* part : {&field.real, &field.imaginary}) {
    blur_rows(*part, grid.samples, grid.beams, beam_profiles);
    blur_columns(*part, grid.samples, grid.beams, gaussian(std::max(0.6, settings.axial * double(grid.samples))));
  }
}

// `noise` holds a complex normal number for each echo.
std::vector<float> log_compressed(const Field& field, const std::vector<float>& noise, const Grid& grid,
                                  const ScanSettings& settings) {
  std::vector<float> grey(field.real.size());
  const double per_decibel = 255 / settings.dynamic_range;
  for (int64_t i = 0; i < grid.samples; ++i) {
    const double noise_level = settings.noise + settings.noise_rise * (double(i) + 0.5) * grid.step;
    const double floor = amplitude(noise_level) * std::sqrt(0.5);
    for (size_t at = size_t(i * grid.beams); at < size_t((i + 1) * grid.beams); ++at) {
      const double real = field.real[at] + floor * noise[2 * at],
                   imaginary = field.imaginary[at] + floor * noise[2 * at + 1];
      const double decibel = 10 * std::log10(real * real + imaginary * imaginary + 1e-9);
      // 2.5 dB: the mean of log intensity lies below the log of the mean (Rayleigh).
      grey[at] = float(std::max(0.0, settings.liver_grey + per_decibel * (decibel + 2.5)));
    }
  }
  return grey;
}

}  // namespace

ScanSettings draw_settings(Random& random, const Fan& fan) {
  ScanSettings s = {};
  const double kind = random.uniform();
  const bool good = kind < 0.64;
  s.quality = good ? random.uniform(0.6, 1.0) : random.uniform(0.0, 0.5);
  s.defect = good ? "none" : kind < 0.78 ? "noise" : kind < 0.90 ? "blur" : "gain";
  s.liver_grey = random.uniform(70, 105);
  s.dynamic_range = random.uniform(52, 68);
  s.noise = random.uniform(-46, -40) + 12 * (1 - s.quality);
  s.noise_rise = random.uniform(12, 22);
  s.axial = random.uniform(0.0030, 0.0042);
  s.lateral = random.uniform(0.0055, 0.0085) * (1 + 0.4 * (1 - s.quality));
  s.focus = random.uniform(0.3, 0.65);
  s.focal_zone = random.uniform(0.3, 0.5);
  s.speckle = random.uniform(0.15, 0.40);
  s.gain_slope = random.uniform(-9, 3);
  for (double& loss : s.side_loss) loss = random.uniform() < 0.35 ? -random.uniform(4, 16) : -random.uniform(0, 2);
  s.shadow_angle = random.uniform(-0.9, 0.9) * fan.half_angle;
  s.shadow_width = random.uniform(0.04, 0.10);
  s.shadow_loss = random.uniform() < 0.3 ? random.uniform(7, 20) : 0;
  s.shadow_start = random.uniform(0.10, 0.18);
  const double severity = 1 - 1.4 * s.quality;  // of the one defect of a poor picture: 0.3 .. 1
  if (s.defect == "noise") {
    s.noise = -26 + 12 * severity;
    s.noise_rise = random.uniform(4, 10);
    s.speckle = 0.8;
  } else if (s.defect == "blur") {
    s.axial *= 1.4 + 1.6 * severity;
    s.lateral *= 1.5 + 1.5 * severity;
  } else if (s.defect == "gain") {
    s.liver_grey *= 0.8 - 0.2 * severity;
    s.dynamic_range *= 1.05 + 0.25 * severity;
  }
  return s;
}

PolarImage scan(const Anatomy& anatomy, const Fan& fan, const ScanSettings& settings, int64_t samples, int64_t beams,
                uint64_t seed, uint64_t index) {
  const Grid grid{fan, samples, beams};
  const int64_t cells = samples * beams;
  Random random(seed, index, 2);
  Field field{std::vector<float>(size_t(cells)), std::vector<float>(size_t(cells))};
  fill_normal(field.real.data(), cells, seed, index, 3);
  fill_normal(field.imaginary.data(), cells, seed, index, 4);
  const std::vector<double> loss = scatter(anatomy, grid, settings, random, field);
  add_streaks(anatomy, grid, settings, loss, field);
  spread(grid, settings, field);

  std::vector<float> noise(size_t(2 * cells));
  fill_normal(noise.data(), 2 * cells, seed, index, 5);
  PolarImage image{samples, beams, log_compressed(field, noise, grid, settings)};
  const std::vector<float> mean = local_mean(image.grey, samples, beams);
  for (size_t at = 0; at < mean.size(); ++at) {
    const float level = mean[at] + float(settings.speckle) * (image.grey[at] - mean[at]);
    // Bright echoes saturate softly.
    image.grey[at] = level < 160 ? level : 160 + 95 * (1 - std::exp((160 - level) / 95));
  }
  return image;
}

}  // namespace echodiff::phantom
