// lucidrains' denoising-diffusion-pytorch, from 1.9 (GroupNorm: norm.weight and norm.bias) to 2.x (RMSNorm: norm.g).
#include "nn/torch_import/maps.h"

namespace echodiff {

const KeyMap& lucidrains_map() {
  static const KeyMap map{"lucidrains",
                          {
                              {"init_conv.{weight,bias}"},                              // 7x7
                              {"time_mlp.{1,3}.{weight,bias}"},                         // 0 is sinusoidal, 2 GELU
                              {"{downs,ups}.#.{0,1}.mlp.1.{weight,bias}"},              // the time, after SiLU
                              {"{downs,ups}.#.{0,1}.block{1,2}.proj.{weight,bias}"},    // 3x3
                              {"{downs,ups}.#.{0,1}.block{1,2}.norm.{g,weight,bias}"},  //
                              {"{downs,ups}.#.{0,1}.res_conv.{weight,bias}"},           // 1x1, where the width changes
                              {"{downs,ups}.#.2.{mem_kv,norm.g,to_qkv.weight}"},        // attention
                              {"{downs,ups}.#.2.to_out.{weight,bias}"},                 // full, at the lowest level
                              {"{downs,ups}.#.2.to_out.{0.weight,0.bias,1.g}"},         // linear, at the others
                              {"{downs,ups}.#.3.1.{weight,bias}"},                      // changes the resolution
                              {"{downs,ups}.#.3.{weight,bias}"},                        // keeps it
                              {"{mid_block1,mid_block2,final_res_block}.mlp.1.{weight,bias}"},  //
                              {"{mid_block1,mid_block2,final_res_block}.block{1,2}.proj.{weight,bias}"},
                              {"{mid_block1,mid_block2,final_res_block}.block{1,2}.norm.{g,weight,bias}"},
                              {"{mid_block1,mid_block2,final_res_block}.res_conv.{weight,bias}"},  //
                              {"mid_attn.{mem_kv,norm.g,to_qkv.weight,to_out.weight,to_out.bias}"},
                              {"final_conv.{weight,bias}"},  // 1x1
                          },
                          // The buffers of GaussianDiffusion: they follow from the schedule.
                          {"betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod",
                           "sqrt_one_minus_alphas_cumprod", "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod",
                           "sqrt_recipm1_alphas_cumprod", "posterior_variance", "posterior_log_variance_clipped",
                           "posterior_mean_coef1", "posterior_mean_coef2", "loss_weight", "p2_loss_weight"}};
  return map;
}

namespace {

// Until 1.9 attention had its norm outside (fn.fn) and no memory; earlier still, blocks had other names.
void refuse_old(const WeightShapes& weights) {
  const bool is_old = weights.any_with_prefix("downs.0.") && !weights.has("mid_attn.mem_kv");
  check_input(!is_old, Fault::kBadInput, weights.where(),
              ": no mid_attn.mem_kv: written by a denoising-diffusion-pytorch older than 1.9, whose network is another "
              "and is not supported; train it again with 1.9 or later");
}

// With self_condition the network takes its last guess beside the picture: as many channels as the picture's. Nothing
// in the file tells them from masks.
void refuse_self_conditioning(const WeightShapes& weights, const DenoiserOptions& options, const NetworkHints& hints) {
  check_input(hints.mask_planes || options.planes != options.image_channels, Fault::kBadInput, weights.where(),
              ": init_conv takes ", options.planes, " channels beside the picture's ", options.image_channels,
              ": self-conditioning, which is not supported; if they are masks, say their names");
}

}  // namespace

DenoiserOptions infer_lucidrains(const WeightShapes& weights, const NetworkHints& hints) {
  refuse_old(weights);
  DenoiserOptions options;
  options.architecture = weights.has("downs.0.0.block1.norm.g") ? "lucidrains" : "lucidrains1";
  options.dim = weights.dim("init_conv.weight", 0);
  infer_channels(weights, weights.dim("init_conv.weight", 1), weights.dim("final_conv.weight", 0), hints, &options);
  refuse_self_conditioning(weights, options, hints);
  options.heads = weights.dim("mid_attn.mem_kv", 1);
  options.head_dim = weights.dim("mid_attn.mem_kv", 3);
  options.mults.clear();
  const int64_t levels = weights.count("downs.");
  for (int64_t level = 0; level < levels; ++level) {  // all but the last end in space-to-depth and a 1x1 convolution
    const std::string name = concat_message("downs.", level, level < levels - 1 ? ".3.1.weight" : ".3.weight");
    const int64_t width = weights.dim(name, 0);
    check_input(width % options.dim == 0, Fault::kBadInput, weights.where(), ": ", name, " has ", width,
                " output channels, expected a multiple of the ", options.dim, " of init_conv");
    options.mults.push_back(width / options.dim);
  }
  check_input(levels > 0, Fault::kBadInput, weights.where(),
              ": expected tensors downs.0.*, found none; is it a network of another kind?");
  return options;
}

}  // namespace echodiff
