// Do samples copy training pictures, or each other?
#pragma once

#include <cstdint>
#include <vector>

#include "quality/evaluate/distribution.h"
#include "quality/evaluate/rows.h"

namespace echodiff {

struct Nearest {
  int64_t index = 0;  // of the nearest row
  double distance = 0;
};
// For each row of `rows` the nearest of `others`, which isn't empty.
std::vector<Nearest> nearest(const Rows& rows, const Rows& others);

// Training pictures as thumbnails (rows.h), as they are and mirrored: a mirrored copy is a copy.
class TrainingSet {
 public:
  explicit TrainingSet(const std::vector<GrayImage>& training);
  // The nearest training picture of each, by number in `training`.
  std::vector<Nearest> nearest_to(const std::vector<GrayImage>& images) const;
  // How much of its detail (what a Gaussian of two pixels takes away, speckle for the most part) a picture has from a
  // training picture: their correlation at 64x64 pixels, the largest among the twenty nearest, moved by up to two
  // pixels. 1 for a copy at any brightness, contrast and place; frames of one scene stay below .8.
  std::vector<double> shared_detail(const std::vector<GrayImage>& images) const;
  // The same for each training picture itself, of the others.
  std::vector<double> detail_of_others() const;

 private:
  int64_t count_;
  Rows rows_;                     // (2 count, pixels): the pictures, then their mirrors
  std::vector<GrayImage> small_;  // of the same, 64x64
};

// What is nearer than this counts as the same picture: the distance that one in a hundred held-out real pictures stays
// below to its own nearest training picture. `held_out` are those distances, not empty.
double copy_distance(const std::vector<Nearest>& held_out);

// What shares more detail than this with a training picture is a copy of it, moved or smoothed: one in a hundred
// training pictures shares as much with another.
double copy_detail(const TrainingSet& training);

struct Memorisation {
  int64_t copies = 0;          // samples nearer to a training picture than copy_distance
  double median = 0;           // of the samples' distances to their nearest training picture
  double median_held_out = 0;  // of held-out real pictures' distances
  // The chance that a sample is nearer than a held-out real picture: 0.5 without copying. The error is DeLong's (1988):
  // 0 where all samples are nearer than every held-out picture, or none is.
  Measure closer;
};
Memorisation memorisation(const std::vector<Nearest>& samples, const std::vector<Nearest>& held_out);

// Pictures that are no near-duplicates: each counts unless it is nearer than `distance` to one that counted before.
int64_t distinct_count(const Rows& rows, double distance);

}  // namespace echodiff
