// From a data set in memory (8 bit) to the float tensors of one batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/io/safetensors.h"
#include "train/data/augment.h"
#include "train/data/dataset.h"

namespace echodiff {

struct Batch {
  Tensor x_0;        // (N, 1, H, W) in [-1, 1]
  Tensor condition;  // (N, P, H, W) in {0, 1}, the sector last
  Tensor labels{};   // (N, kAugmentLabels), where the network is told of augmentation (told_augment.h)
};

// An example's masks as a network takes them: (1, P, H, W) in {0, 1}.
Tensor condition_of(const Example& example);

// A pure function of (seed, number of the sample): samples first .. first+count-1 of the run. Holds a reference to the
// data set's examples of one split.
class Loader {
 public:
  Loader(const Dataset& dataset, const std::string& split, uint64_t seed, const AugmentOptions& options);

  int64_t size() const { return int64_t(examples_.size()); }  // examples in the split
  // Shuffled and augmented, for training.
  Batch draw(int64_t first, int64_t count) const;
  // These examples of the split as they are, in file order.
  Batch gather(const std::vector<int64_t>& indices) const;
  // The files draw() takes, for messages.
  std::string files(int64_t first, int64_t count) const;

 private:
  std::vector<const Example*> examples_;
  int64_t size_, planes_;
  uint64_t seed_;
  AugmentOptions options_;
};

// Exactly these batches: x_0 (S, B, 1, H, W), cond (S, B, P, H, W), t (S, B), noise (S, B, 1, H, W).
class Replay {
 public:
  // Throws Error: kMissingInput; kBadInput when a tensor is missing, misshapen, not finite or t is not in 0..T-1.
  Replay(const std::string& path, int64_t T);

  int64_t steps() const { return steps_; }
  int64_t planes() const { return planes_; }
  int64_t image_size() const { return size_; }
  Batch batch(int64_t step) const;
  Tensor times(int64_t step) const;  // (B) i64
  Tensor noise(int64_t step) const;  // (B, 1, H, W)

 private:
  Tensor images(const char* name, int64_t step, int64_t channels) const;

  SafetensorsFile file_;
  int64_t steps_ = 0, batch_ = 0, planes_ = 0, size_ = 0;
};

}  // namespace echodiff
