// The U-Net of guided-diffusion (Dhariwal & Nichol 2021, arXiv:2105.05233; https://github.com/openai/guided-diffusion),
// and of the Semantic Diffusion Model (arXiv:2207.00050) when `planes` is set: there the masks don't enter the input
// but the norms of the middle and upward residual blocks (SPADE). Each block of the way down leaves one skip.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/attention.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/resample.h"
#include "nn/spade.h"
#include "nn/time_mlp.h"

namespace echodiff {

struct GuidedUnetOptions {
  int64_t in_channels = 4, out_channels = 1;  // a learned variance doubles out_channels
  int64_t model_channels = 64;                // every width is a multiple of 32
  int64_t num_res_blocks = 2;                 // per level
  std::vector<int64_t> channel_mult{1, 2, 4};
  std::vector<int64_t> attention_resolutions{};  // downsampling factors with attention; the middle always has it
  int64_t num_heads = 1;
  int64_t num_head_channels = -1;  // when set, num_heads follows from the width
  double dropout = 0;
  bool use_scale_shift_norm = false;  // the time enters as (1 + scale, shift) after the second norm, else is added
  bool resblock_updown = false;       // residual blocks change the resolution, else a strided / nearest 3x3 convolution
  bool use_new_attention_order = false;
  int64_t planes = 0;         // > 0: SPADE on that many mask planes
  int64_t time_channels = 0;  // of the sinusoidal embedding; 0: model_channels
};

struct GuidedResBlockOptions {
  int64_t in, out;
  int64_t planes = 0;  // > 0: SPADE norms
  Resample resample = Resample::none;
};

class GuidedResBlock : public Module {
 public:
  GuidedResBlock(const GuidedResBlockOptions& options, const GuidedUnetOptions& unet);
  // x (N, in, H, W), time (N, 4 time_channels), masks (N, P, ..) or undefined -> (N, out, H', W')
  Tensor operator()(const Tensor& x, const Tensor& time, const Tensor& masks) const;
  void visit(Visitor& v) override;

 private:
  using Norm = std::variant<GroupNorm, Spade>;
  GuidedResBlockOptions options_;
  bool scale_shift_;
  Norm in_norm_;
  Conv2d in_conv_;
  Linear time_;
  Norm out_norm_;
  Dropout dropout_;
  Conv2d out_conv_;
  std::optional<Conv2d> skip_;
};

// A 3x3 convolution at stride 2, or after nearest x2.
class GuidedResample : public Module {
 public:
  GuidedResample(int64_t channels, bool up);
  Tensor operator()(const Tensor& x) const { return traced(conv_(up_ ? upsample_nearest2(x) : x)); }
  void visit(Visitor& v) override { v.child(up_ ? "conv" : "op", conv_); }

 private:
  bool up_;
  Conv2d conv_;
};

// Layers one after the other, the time and the masks given to those that take them.
class GuidedStage : public Module {
 public:
  using Layer = std::variant<Conv2d, GuidedResBlock, AttentionBlock, GuidedResample>;
  void add(Layer layer) { layers_.push_back(std::move(layer)); }
  Tensor operator()(Tensor x, const Tensor& time, const Tensor& masks) const;
  void visit(Visitor& v) override;

 private:
  std::vector<Layer> layers_;
};

class GuidedUnet : public Module {
 public:
  GuidedUnet(const GuidedUnetOptions& options, uint64_t seed);

  // x (N, in_channels, H, W), H and W multiples of 2^(levels - 1); t (N) i64; masks (N, planes, H, W), undefined
  // without SPADE -> (N, out_channels, H, W). deep: see denoiser.h; (N, width of the second level, H, W)
  Tensor operator()(const Tensor& x, const Tensor& t, const Tensor& masks = {}, Tensor* deep = nullptr) const;
  void visit(Visitor& v) override;

 private:
  AttentionBlock attention(int64_t channels) const;
  GuidedUnetOptions options_;
  TimeMlp time_embed_;
  std::vector<GuidedStage> input_blocks_;
  GuidedStage middle_block_;
  std::vector<GuidedStage> output_blocks_;
  GroupNorm out_norm_;
  Conv2d out_conv_;
};

}  // namespace echodiff
