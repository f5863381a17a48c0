// The network of a diffusion run: one of the U-Nets behind one call, with the masks brought in as the options say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nn/patches.h"
#include "nn/unet.h"
#include "nn/unet_diffusers.h"
#include "nn/unet_guided.h"

namespace echodiff {

struct DenoiserOptions {
  // lucidrains | lucidrains1 (GroupNorm, its 1.x) | guided (guided-diffusion) | diffusers (its UNet2DModel)
  std::string architecture = "lucidrains";
  int64_t image_channels = 1, planes = 3;  // of the picture, and of the masks (0: unconditioned)
  // Planes after those that say how a training picture was augmented (train/data/told_augment.h): zeros when left out.
  int64_t augment_labels = 0;
  std::string condition = "concat";  // concat: cat(x_t, c) is the input | spade (guided only): c enters the norms
  int64_t image_size = 0;            // pixels a side, checked against the levels; 0: not known
  // 1, 2 or 4: squares of so many pixels a side are the channels of one place (patches.h): a call costs as on a picture
  // of image_size / patch
  int64_t patch = 1;
  std::string patch_basis = "shuffle";  // shuffle | haar, of a patch above 1
  int64_t dim = 64;                     // channels at full resolution; lucidrains1: multiple of 8, guided: of 32,
                                        // diffusers: of norm_num_groups
  std::vector<int64_t> mults{1, 2, 4};  // channels of each level over dim
  int64_t blocks = 2;                   // residual blocks per level; always 2 for lucidrains
  // of attention; guided and diffusers: with head_dim > 0 heads follow from the width; diffusers: 0 is one head
  int64_t heads = 4, head_dim = 32;
  double dropout = 0;
  bool learned_variance = false;  // twice the output channels: the prediction, then the variance's interpolation
  // guided and diffusers
  std::vector<int64_t> attention_resolutions{};  // downsampling factors with attention besides the middle
  bool scale_shift = true;
  // guided only
  int64_t time_dim = 0;  // channels of the sinusoidal embedding; 0: dim
  bool new_attention_order = false;
  bool resblock_updown = false;
  // diffusers only
  std::optional<std::vector<int64_t>> up_attention_resolutions{};  // where the way up differs
  DiffusersDetails diffusers{};
};

class Denoiser : public Module {
 public:
  // Throws Error(kUsage) for options that don't fit together.
  Denoiser(const DenoiserOptions& options, uint64_t seed);

  // x_t (N, image_channels, H, W), t (N) i64, condition (N, planes, H, W) or (N, planes + augment_labels, H, W), or
  // undefined when planes is 0
  // -> (N, image_channels, H, W), or twice the channels with a learned variance
  //
  // deep, where given, is what the levels below the outermost put out (Ma et al. 2023, DeepCache, arXiv:2312.00858): a
  // whole call leaves it there if it finds none; else the call is a shallow one, which computes the outermost level
  // alone and takes the rest from there.
  Tensor operator()(const Tensor& x_t, const Tensor& t, const Tensor& condition, Tensor* deep = nullptr) const;
  // The state_dict as a network of no augment_labels has it, of the same answers where those are zero.
  static StateDict without_labels(const DenoiserOptions& options, StateDict weights);
  // Throws Error(kUsage) for a network that has no such levels: one of a single level, or of diffusers.
  void check_has_deep_levels() const;

  // On cuda: activations in bf16. Parameters, their gradients, input and output stay f32, and so does the time
  // embedding.
  void use_bf16(bool on) { bf16_ = on; }

  const DenoiserOptions& options() const { return options_; }
  // The state_dict is the wrapped network's own: PyTorch's names, no prefix.
  void visit(Visitor& v) override;

 private:
  DenoiserOptions options_;
  bool bf16_ = false;
  Patches patches_;
  std::variant<Unet, GuidedUnet, DiffusersUnet> network_;
};

}  // namespace echodiff
