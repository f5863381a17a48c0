// The value model v(x0_hat_t, t, c): the chance that the finished picture will be good, told on the way. A scorer of
// finished pictures can't say that: x0_hat is a mean of what may come, so blurry early on, and x_t is noisy.
//
// Conditioned on the noise level (log-SNR of t) and the masks. Its raw probabilities are those of balanced classes;
// Platt's two numbers per bin of t bring them to the chances that trajectories really have.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "diffusion/schedule.h"
#include "nn/resnet18.h"
#include "nn/value_net.h"
#include "quality/statistics/calibration.h"
#include "tensor/tensor.h"
#include "train/checkpoint.h"

namespace echodiff {

struct ValueOptions {
  std::string architecture = "film";  // film: value_net.h | resnet18: the masks as channels, blind to t
  std::string on = "x0hat";           // what it is shown: x0hat, xt, or x0 (finished pictures alone)
  int64_t image_size = 64;            // pixels a side
  int64_t planes = 3, width = 16;
  ScheduleKind schedule = ScheduleKind::linear;
  double log_snr_shift = 0;
  int64_t T = 2000;

  bool operator==(const ValueOptions&) const = default;
};

class ValueModel {
 public:
  // Throws Error(kUsage) for options that don't fit.
  ValueModel(const ValueOptions& options, uint64_t seed);

  void to(Device device);  // computes there from now on
  // On cuda: activations in bf16 while it is trained; it judges in f32.
  void use_bf16(bool on) { bf16_ = on; }

  // images (N, 1, H, W) in [-1, 1], t (N) i64 in -1..T-1 (-1: finished), condition (N, planes, H, W), all on the CPU
  // -> (N, 1), on its device.
  Tensor logits(const Tensor& images, const Tensor& t, const Tensor& condition) const;

  // The same -> N calibrated chances. A picture's does not depend on the others. Throws Error(kBadInput) when size or
  // planes are not those it was trained on.
  std::vector<double> score(const Tensor& images, const Tensor& t, const Tensor& condition) const;

  // The bin of t: kTimeBins of equal width over 0..T-1, and one more, the last, for finished pictures.
  static constexpr int64_t kTimeBins = 10;
  int64_t bin_of(int64_t t) const;
  std::vector<Platt>& calibration() { return calibration_; }  // kTimeBins + 1; the identity at first

  Module& network();
  const ValueOptions& options() const { return options_; }

  // One checkpoint of the run directory, with `training` beside the weights. Returns its path.
  std::string save(const std::string& run, int64_t step, const std::vector<NamedTensor>& training, Metadata metadata);
  void load(const SafetensorsFile& file);

 private:
  ValueOptions options_;
  std::vector<int64_t> levels_;  // of t = -1, 0, ..., T-1
  std::variant<ValueNet, ResNet18> network_;
  std::vector<Platt> calibration_;
  Device device_ = Device::kCpu;
  bool bf16_ = false;
};

// As a checkpoint's metadata states them. Throws Error(kBadInput), naming `path`, for another kind of checkpoint.
ValueOptions value_options(const Metadata& metadata, const std::string& path);
// The key of its metadata for the names of the planes, where the recordings had any.
constexpr const char* kPlaneNames = "plane_names";

// Is the newest checkpoint of the run directory a value model's?
bool is_value_run(const std::string& run);
// The newest checkpoint of a run directory, in evaluation mode. Throws Error: kMissingInput, kBadInput.
ValueModel load_value_run(const std::string& run, bool allow_unfinished = false);

}  // namespace echodiff
