// UNet2DModel of diffusers (https://github.com/huggingface/diffusers), the U-Net of Ho et al. 2020 (arXiv:2006.11239)
// with options named as in its config.json. Each block of the way down leaves one skip, the downsampling too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/resample.h"
#include "nn/skips.h"

namespace echodiff {

// What config.json says beyond what the other U-Nets have too.
struct DiffusersDetails {
  int64_t norm_num_groups = 32;
  double norm_eps = 1e-5;  // 1e-6 in the original DDPM
  bool flip_sin_to_cos = true;
  double freq_shift = 0;             // frequencies over half - freq_shift
  int64_t downsample_padding = 1;    // 0: one zero after the last row and column only
  std::string act_fn = "silu";       // silu | relu | gelu, in the residual blocks
  bool add_attention = true;         // in the middle
  int64_t attn_norm_num_groups = 0;  // of the middle's attention. 0: norm_num_groups, or no norm with scale-shift
  double mid_block_scale_factor = 1;
  bool center_input_sample = false;                         // 2x - 1 is the input
  int64_t time_embedding_dim = 0;                           // 0: 4 times the first width
  bool downsample_resnet = false, upsample_resnet = false;  // residual blocks resample, in the blocks with attention
};

struct DiffusersUnetOptions {
  int64_t in_channels = 4, out_channels = 1;
  std::vector<int64_t> block_out_channels{64, 128, 256};
  std::vector<bool> down_attention{}, up_attention{};  // by block, the way up from below; empty: none
  int64_t layers_per_block = 2;
  int64_t attention_head_dim = 8;  // 0: one head of the block's width
  double dropout = 0;
  bool scale_shift = false;  // resnet_time_scale_shift
  DiffusersDetails details{};
};

struct DiffusersResnetOptions {
  int64_t in, out;
  Resample resample = Resample::none;
  double scale = 1;  // the sum with the input is divided by it
};

class DiffusersResnet : public Module {
 public:
  DiffusersResnet(const DiffusersResnetOptions& options, const DiffusersUnetOptions& unet, int64_t time_dim);
  Tensor operator()(const Tensor& x, const Tensor& time) const;  // (N, in, H, W), (N, time_dim) -> (N, out, H', W')
  void visit(Visitor& v) override;

 private:
  Tensor activation(const Tensor& x) const;
  DiffusersResnetOptions options_;
  std::string act_fn_;
  bool scale_shift_;
  GroupNorm norm1_;
  Conv2d conv1_;
  Linear time_;
  GroupNorm norm2_;
  Dropout dropout_;
  Conv2d conv2_;
  std::optional<Conv2d> shortcut_;
};

// x + to_out(attention(to_q, to_k, to_v of group_norm(x))), over `scale`.
class DiffusersAttention : public Module {
 public:
  // groups 0: no norm
  DiffusersAttention(int64_t channels, int64_t head_dim, int64_t groups, double eps, double scale);
  Tensor operator()(const Tensor& x) const;  // (N, C, H, W) -> the same shape
  void visit(Visitor& v) override;

 private:
  int64_t heads_;
  double scale_;
  std::optional<GroupNorm> norm_;
  Linear to_q_, to_k_, to_v_, to_out_;
};

// A 3x3 convolution at stride 2, or after nearest x2.
class DiffusersResample : public Module {
 public:
  DiffusersResample(int64_t channels, bool up, int64_t padding);
  Tensor operator()(const Tensor& x) const;
  void visit(Visitor& v) override { v.child("conv", conv_); }

 private:
  bool up_, asymmetric_;
  Conv2d conv_;
};

// Residual blocks, each followed by attention where there is any, then a change of resolution where there is one.
class DiffusersBlock : public Module {
 public:
  enum class Kind { down, up };
  explicit DiffusersBlock(Kind kind) : kind_(kind) {}
  void add(DiffusersResnet resnet) { resnets_.push_back(std::move(resnet)); }
  void add(DiffusersAttention attention) { attentions_.push_back(std::move(attention)); }
  void resample(std::variant<DiffusersResample, DiffusersResnet> by) { resample_.emplace(std::move(by)); }

  Tensor down(Tensor x, const Tensor& time, Skips& skips) const;  // puts its skips on the stack
  Tensor up(Tensor x, const Tensor& time, Skips& skips) const;    // takes them off
  void visit(Visitor& v) override;

 private:
  // Residual block i, and the attention behind it.
  Tensor layer(size_t i, const Tensor& x, const Tensor& time) const;
  Tensor resampled(const Tensor& x, const Tensor& time) const;
  Kind kind_;
  std::vector<DiffusersResnet> resnets_;
  std::vector<DiffusersAttention> attentions_;
  std::optional<std::variant<DiffusersResample, DiffusersResnet>> resample_;
};

class DiffusersUnet : public Module {
 public:
  // Throws Error(kUsage) for options that don't fit together.
  DiffusersUnet(const DiffusersUnetOptions& options, uint64_t seed);

  // x (N, in_channels, H, W), H and W multiples of 2^(levels - 1); t (N) i64 -> (N, out_channels, H, W)
  Tensor operator()(const Tensor& x, const Tensor& t) const;
  void visit(Visitor& v) override;

 private:
  void add_blocks(int64_t time_dim);
  DiffusersUnetOptions options_;
  Conv2d conv_in_;
  Linear time1_, time2_;
  std::vector<DiffusersBlock> down_blocks_, up_blocks_;
  std::vector<DiffusersAttention> mid_attention_;  // one or none
  std::vector<DiffusersResnet> mid_resnets_;       // two
  GroupNorm norm_out_;
  Conv2d conv_out_;
};

}  // namespace echodiff
