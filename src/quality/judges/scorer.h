// The judge of section 5.3: ResNet-18 with one logit, y_hat = sigmoid(logit) in [0, 1] (equation 5). A plain CNN in its
// place is a second judge that selects nothing, to check the first by.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "nn/plain_cnn.h"
#include "nn/resnet18.h"
#include "tensor/io/png.h"
#include "tensor/tensor.h"
#include "train/checkpoint.h"

namespace echodiff {

struct ScorerOptions {
  int64_t image_size = 64;                // pixels a side of what it was trained on
  int64_t width = 64;                     // channels of the first stage
  std::string architecture = "resnet18";  // or "cnn" (plain_cnn.h)
};

class Scorer {
 public:
  // Throws Error(kUsage) for another architecture.
  Scorer(const ScorerOptions& options, uint64_t seed);

  void to(Device device);  // computes there from now on
  // On cuda: activations in bf16 while it is trained; it judges in f32.
  void use_bf16(bool on) { bf16_ = on; }

  Tensor logits(const Tensor& images) const;  // images (N, 1, H, W) in [-1, 1], on the CPU -> (N, 1), on its device

  // The same -> N scores. A picture's score does not depend on the others. Throws
  // Error(kBadInput) when the size is not the one it was trained on: sharpness and noise mean other things there.
  std::vector<double> score(const Tensor& images) const;
  std::vector<double> score(const std::vector<const GrayImage*>& images) const;

  Module& network();
  const ScorerOptions& options() const { return options_; }

  // One checkpoint of the run directory; of a ResNet-18 under torchvision's names. `training` (under "train.") and
  // `facts` are what going on needs beside the weights. Returns its path.
  std::string save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training = {},
                   Metadata facts = {});

 private:
  ScorerOptions options_;
  std::variant<ResNet18, PlainCnn> network_;
  Device device_ = Device::kCpu;
  bool bf16_ = false;
};

// Any ResNet-18 in a run directory: a scorer, or one imported with its own channels and classes.
struct ResNet18Run {
  ResNet18Options options;
  ResNet18 network;
  int64_t image_size = 0;  // pixels a side of what it was trained on; 0: not known
};
// One checkpoint under torchvision's names. Returns its path.
std::string save_resnet18_run(const std::string& run, int64_t step, const ResNet18Options& options,
                              const StateDict& weights, int64_t image_size);
// In evaluation mode. Throws Error: kMissingInput, kBadInput; also for one in the midst of its training, unless that is
// allowed.
ResNet18Run load_resnet18_run(const std::string& run, bool allow_unfinished = false);

// The newest checkpoint of a scorer's run directory, in evaluation mode. Throws Error as load_resnet18_run.
Scorer load_scorer_run(const std::string& run, bool allow_unfinished = false);

}  // namespace echodiff
