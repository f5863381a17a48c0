// The labelled pictures a scorer is trained on, what fills a class that sampling left too small, and the split.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/labels/labels.h"
#include "train/data/dataset.h"

namespace echodiff {

struct ScorerExample {
  GrayImage image;
  bool good = false;
  std::string group;   // never on both sides of the split
  std::string origin;  // "sampled", "training" or "degraded"
};

// The pictures of a labels file, brought to `size` by `fit` (0: as they are; then all must be square and equal). Throws
// Error(kBadInput) naming the file.
std::vector<ScorerExample> read_scorer_examples(const std::vector<LabelledImage>& labels, int64_t size, Fit fit);

// Adds pictures of `data` until each class has `per_class`: as they are (origin "training"), then degraded more and
// more (origin "degraded": blur, noise, lost contrast), each labelled by the thresholds, in an order drawn with `seed`.
// Their groups are the data set's. Stops when a class is full or every picture was tried at every grade.
void fill_classes(std::vector<ScorerExample>& examples, const Dataset& data, const Thresholds& thresholds,
                  int64_t per_class, uint64_t seed);

// As many good as poor ones, at most `per_class` each: sampled ones stay before training ones before degraded ones.
std::vector<ScorerExample> balance(const std::vector<ScorerExample>& examples, int64_t per_class, uint64_t seed);

struct ScorerSplit {
  std::vector<ScorerExample> train, held_out;
};
// Whole groups go to `held_out`, in an order drawn with `seed`, while they bring a class nearer to `fraction` of it.
ScorerSplit split_by_group(const std::vector<ScorerExample>& examples, double fraction, uint64_t seed);

// One step of damage: grade 0 is mild, kGrades - 1 strong. kind 0 blur, 1 noise, 2 lost contrast.
constexpr int64_t kGrades = 4, kDamages = 3;
GrayImage degrade(const GrayImage& image, int64_t kind, int64_t grade, uint64_t seed);

}  // namespace echodiff
