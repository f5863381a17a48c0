// Where the classes of the masks are in a picture: the U-Net of unet.h, its time held at 0, with one logit per class
// and pixel. Trained on real pairs, it says how well a sample shows the mask it was drawn from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/unet.h"
#include "tensor/io/png.h"
#include "tensor/tensor.h"
#include "train/checkpoint.h"
#include "train/folder/fit.h"

namespace echodiff {

struct SegmenterOptions {
  int64_t image_size = 64;           // pixels a side
  std::vector<std::string> classes;  // names of the planes, without the sector
  int64_t dim = 16;
  std::vector<int64_t> mults{1, 2, 4};
  Fit fit = Fit::squash;  // of the pictures it was trained on
};

class Segmenter {
 public:
  // Throws Error(kUsage) without classes, or when the size can't be halved as often as there are levels.
  Segmenter(const SegmenterOptions& options, uint64_t seed);

  void to(Device device);  // computes there from now on
  // On cuda: activations in bf16 while it is trained; it finds masks in f32.
  void use_bf16(bool on) { bf16_ = on; }

  // images (N, 1, H, W) in [-1, 1], on the CPU -> logits (N, classes, H, W), on its device
  Tensor operator()(const Tensor& images) const;
  // For each picture one plane of 0 and 1 a class: where the logit is above 0. Throws Error(kBadInput) for another
  // size.
  std::vector<std::vector<GrayImage>> segment(const std::vector<GrayImage>& images) const;

  Unet& network() { return network_; }
  const SegmenterOptions& options() const { return options_; }
  // One checkpoint of the run directory. `training` (under "train.") and `facts` are what going on needs beside the
  // weights. Returns its path.
  std::string save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training = {},
                   Metadata facts = {});

 private:
  SegmenterOptions options_;
  Unet network_;
  Device device_ = Device::kCpu;
  bool bf16_ = false;
};

// The newest checkpoint of a run of dtrain segmenter, in evaluation mode. Throws Error: kMissingInput, kBadInput; also
// for one in the midst of its training, unless that is allowed.
Segmenter load_segmenter_run(const std::string& run, bool allow_unfinished = false);

// 2 |A and B| / (|A| + |B|) of two planes of one size, non-zero pixels in them (Dice 1945); nothing when both are
// empty.
std::optional<double> dice(const GrayImage& a, const GrayImage& b);

struct DiceScores {
  std::vector<std::vector<double>> by_class;  // of each class, over the pictures where either plane has a pixel
  std::vector<double> mean;                   // of a picture over its classes, where it has any
};
// planes[i]: the masks of images[i], the segmenter's classes first.
DiceScores dice_scores(const Segmenter& segmenter, const std::vector<GrayImage>& images,
                       const std::vector<const std::vector<GrayImage>*>& planes);

}  // namespace echodiff
