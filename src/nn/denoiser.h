// The network of a diffusion run: one of the U-Nets behind one call, with the masks brought in as the options say.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "nn/unet.h"
#include "nn/unet_guided.h"

namespace echodiff {

struct DenoiserOptions {
  std::string architecture = "lucidrains";  // lucidrains | lucidrains1 (GroupNorm, its 1.x) | guided
  int64_t image_channels = 1, planes = 3;   // of the picture, and of the masks (0: unconditioned)
  std::string condition = "concat";     // concat: cat(x_t, c) is the input | spade (guided only): c enters the norms
  int64_t image_size = 0;               // pixels a side, checked against the levels; 0: not known
  int64_t dim = 64;                     // channels at full resolution; lucidrains1: multiple of 8, guided: of 32
  std::vector<int64_t> mults{1, 2, 4};  // channels of each level over dim
  int64_t blocks = 2;                   // residual blocks per level; always 2 for lucidrains
  int64_t heads = 4, head_dim = 32;     // of attention; guided: with head_dim > 0 heads follow from the width
  double dropout = 0;
  bool learned_variance = false;  // twice the output channels: the prediction, then the variance's interpolation
  // guided only
  std::vector<int64_t> attention_resolutions{};  // downsampling factors with attention besides the middle
  bool scale_shift = true;
  bool new_attention_order = false;
  bool resblock_updown = false;
};

class Denoiser : public Module {
 public:
  // Throws Error(kUsage) for options that don't fit together.
  Denoiser(const DenoiserOptions& options, uint64_t seed);

  // x_t (N, image_channels, H, W), t (N) i64, condition (N, planes, H, W) or undefined when planes is 0
  // -> (N, image_channels, H, W), or twice the channels with a learned variance
  Tensor operator()(const Tensor& x_t, const Tensor& t, const Tensor& condition) const;

  const DenoiserOptions& options() const { return options_; }
  // The state_dict is the wrapped network's own: PyTorch's names, no prefix.
  void visit(Visitor& v) override;

 private:
  DenoiserOptions options_;
  std::variant<Unet, GuidedUnet> network_;
};

}  // namespace echodiff
