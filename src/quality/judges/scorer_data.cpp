#include "quality/judges/scorer_data.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "kernels/philox.h"
#include "train/data/image.h"
#include "train/draws.h"
#include "train/folder/listing.h"

namespace echodiff {
namespace {

std::array<int64_t, 2> class_counts(const std::vector<ScorerExample>& examples) {
  std::array<int64_t, 2> counts{};
  for (const ScorerExample& example : examples) ++counts[example.good];
  return counts;
}

// A shuffle of 0..n-1 by (seed, 0).
std::vector<int64_t> shuffled(int64_t n, uint64_t seed) { return draw_examples(seed, n, 0, n); }

int64_t rank_of_origin(const std::string& origin) { return origin == "degraded" ? 2 : origin == "training" ? 1 : 0; }

}  // namespace

std::vector<ScorerExample> read_scorer_examples(const std::vector<LabelledImage>& labels, int64_t size, Fit fit) {
  std::vector<ScorerExample> examples;
  for (const LabelledImage& label : labels) {
    GrayImage image = read_picture(label.path);
    if (size > 0 && (image.width != size || image.height != size)) image = fit_area(image, size, fit);
    const GrayImage& first = examples.empty() ? image : examples[0].image;
    check_input(image.width == image.height && image.width == first.width, Fault::kBadInput, label.path, ": ",
                image.width, "x", image.height, ", expected square pictures of one size (", first.width,
                "); choose an image size");
    examples.push_back({std::move(image), label.good, label.group, label.origin.empty() ? "sampled" : label.origin});
  }
  return examples;
}

GrayImage degrade(const GrayImage& image, int64_t kind, int64_t grade, uint64_t seed) {
  const double strength = double(grade + 1);
  if (kind == 0) return gaussian_blur(image, 0.45 * strength);
  GrayImage out = image;
  Random random(seed, uint64_t(kind), uint64_t(grade));
  for (uint8_t& pixel : out.pixels)
    pixel = kind == 1 ? to_byte(pixel + 7 * strength * random.normal()) : to_byte(pixel * (1 - 0.2 * strength));
  return out;
}

void fill_classes(std::vector<ScorerExample>& examples, const Dataset& data, const Thresholds& thresholds,
                  int64_t per_class, uint64_t seed) {
  std::array<int64_t, 2> counts = class_counts(examples);
  const int64_t n = int64_t(data.examples.size());
  const std::vector<int64_t> order = shuffled(n, seed);
  const auto offer = [&](const Example& source, GrayImage image, const char* origin) {
    const GrayImage* region = region_of(thresholds, source.planes.back());
    const bool good = is_good(measure(image, thresholds.metric, region), thresholds);
    if (counts[good] >= per_class) return;
    ++counts[good];
    examples.push_back({std::move(image), good, source.group, origin});
  };
  for (int64_t i : order) offer(data.examples[size_t(i)], data.examples[size_t(i)].image, "training");
  for (int64_t round = 0; round < kGrades * kDamages; ++round)
    for (int64_t place = 0; place < n && (counts[0] < per_class || counts[1] < per_class); ++place) {
      const int64_t i = order[size_t(place)], turn = (round + place) % (kGrades * kDamages);
      const Example& source = data.examples[size_t(i)];
      offer(source, degrade(source.image, turn % kDamages, turn / kDamages, seed + uint64_t(i)), "degraded");
    }
}

std::vector<ScorerExample> balance(const std::vector<ScorerExample>& examples, int64_t per_class, uint64_t seed) {
  const std::array<int64_t, 2> counts = class_counts(examples);
  const int64_t keep = std::min({per_class, counts[0], counts[1]});
  std::vector<int64_t> order = shuffled(int64_t(examples.size()), seed);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return rank_of_origin(examples[size_t(a)].origin) < rank_of_origin(examples[size_t(b)].origin);
  });
  std::array<int64_t, 2> taken{};
  std::vector<ScorerExample> kept;
  for (int64_t i : order)
    if (taken[examples[size_t(i)].good]++ < keep) kept.push_back(examples[size_t(i)]);
  return kept;
}

ScorerSplit split_by_group(const std::vector<ScorerExample>& examples, double fraction, uint64_t seed) {
  std::map<std::string, std::array<int64_t, 2>> groups;
  for (const ScorerExample& example : examples) ++groups[example.group][example.good];
  std::vector<std::string> names;
  for (const auto& [name, counts] : groups) names.push_back(name);
  const std::array<int64_t, 2> all = class_counts(examples);
  std::array<double, 2> wanted{fraction * double(all[0]), fraction * double(all[1])};
  std::map<std::string, bool> held_out;
  for (int64_t i : shuffled(int64_t(names.size()), seed)) {
    const std::array<int64_t, 2>& counts = groups.at(names[size_t(i)]);
    double gain = 0;  // how much nearer both classes come to what is wanted
    for (size_t c = 0; c < 2; ++c) gain += std::abs(wanted[c]) - std::abs(wanted[c] - double(counts[c]));
    held_out[names[size_t(i)]] = gain > 0;
    if (gain > 0)
      for (size_t c = 0; c < 2; ++c) wanted[c] -= double(counts[c]);
  }
  ScorerSplit split;
  for (const ScorerExample& example : examples)
    (held_out.at(example.group) ? split.held_out : split.train).push_back(example);
  return split;
}

}  // namespace echodiff
