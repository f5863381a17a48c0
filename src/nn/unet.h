// The U-Net of lucidrains' denoising-diffusion-pytorch (https://github.com/lucidrains/denoising-diffusion-pytorch),
// after Ho et al. 2020 (arXiv:2006.11239): two residual blocks and an attention per level, linear attention but at the
// lowest level, space-to-depth on the way down, nearest neighbour on the way up. 2.x normalises with RMSNorm, 1.x with
// GroupNorm(8).
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "nn/attention.h"
#include "nn/conv2d.h"
#include "nn/dropout.h"
#include "nn/norm.h"
#include "nn/skips.h"
#include "nn/time_mlp.h"

namespace echodiff {

enum class UnetNorm { rms, group };

struct UnetOptions {
  int64_t dim = 64;                     // channels at full resolution
  std::vector<int64_t> mults{1, 2, 4};  // channels of each level over dim; each level but the last halves H and W
  int64_t channels = 4, out_channels = 1;
  int64_t heads = 4, head_dim = 32;
  double dropout = 0;  // in the first half of each residual block
  UnetNorm norm = UnetNorm::rms;
};

// conv 3x3, norm, optional (scale + 1, shift), SiLU, dropout.
class UnetBlock : public Module {
 public:
  UnetBlock(int64_t in, int64_t out, double dropout, UnetNorm norm);
  Tensor operator()(Tensor x, const Tensor& scale_and_shift = {}) const;  // (N, 2 out) or undefined
  void visit(Visitor& v) override;

 private:
  Conv2d proj_;
  std::variant<RMSNorm, GroupNorm> norm_;
  Dropout dropout_;
};

class ResnetBlock : public Module {
 public:
  ResnetBlock(int64_t in, int64_t out, const UnetOptions& options);
  Tensor operator()(Tensor x, const Tensor& time) const;  // (N, in, H, W), (N, 4 dim) -> (N, out, H, W)
  void visit(Visitor& v) override;

 private:
  Linear time_;
  UnetBlock block1_, block2_;
  std::optional<Conv2d> res_conv_;
};

// Halves, doubles or keeps the resolution while changing the channels.
class UnetResample : public Module {
 public:
  enum class Kind {
    down,  // space-to-depth by 2, channel order (c p1 p2), then 1x1
    up,    // nearest x2, then 3x3
    same,  // 3x3
  };
  UnetResample(int64_t in, int64_t out, Kind kind);
  Tensor operator()(const Tensor& x) const;
  void visit(Visitor& v) override;

 private:
  Kind kind_;
  Conv2d conv_;
};

// One level of either path: two blocks, attention, change of resolution.
class UnetLevel : public Module {
 public:
  UnetLevel(int64_t block_in, int64_t channels, int64_t out, bool full_attention, UnetResample::Kind kind,
            const UnetOptions& options);
  // x -> x at the next resolution; keeps the two skips on the stack.
  Tensor down(Tensor x, const Tensor& time, Skips& skips) const;
  // Takes them off again.
  Tensor up(Tensor x, const Tensor& time, Skips& skips) const;
  void visit(Visitor& v) override;

 private:
  Tensor attended(const Tensor& x) const;

  ResnetBlock block1_, block2_;
  MemoryAttention attention_;
  UnetResample resample_;
};

class Unet : public Module {
 public:
  Unet(const UnetOptions& options, uint64_t seed);

  // x (N, channels, H, W), H and W multiples of 2^(levels - 1); t (N) i64 -> (N, out_channels, H, W). deep: see
  // denoiser.h; (N, width of the first level, H, W)
  Tensor operator()(const Tensor& x, const Tensor& t, Tensor* deep = nullptr) const;
  void visit(Visitor& v) override;

 private:
  // The outermost level and what is around it, on the way down and up; all that lies between.
  Tensor enter(const Tensor& input, const Tensor& time, Skips& skips) const;
  Tensor inner(Tensor x, const Tensor& time, Tensor* deep) const;
  Tensor leave(Tensor x, const Tensor& time, Skips& skips) const;

  UnetOptions options_;
  int64_t lowest_;  // channels of the lowest level
  Conv2d init_conv_;
  TimeMlp time_mlp_;
  std::vector<UnetLevel> downs_, ups_;
  ResnetBlock mid_block1_, mid_block2_;
  MemoryAttention mid_attention_;
  ResnetBlock final_block_;
  Conv2d final_conv_;
};

}  // namespace echodiff
