// guided-diffusion and improved-diffusion: a bare state dict; the configuration is not in the file. What shapes and
// names don't tell (heads, and the order of q, k and v) must be given.
#include "nn/torch_import/maps.h"

#include <numeric>

namespace echodiff {

const KeyMap& guided_map() {
  static const KeyMap map{"guided-diffusion",
                          {
                              {"time_embed.{0,2}.{weight,bias}"},                                  // 1 is SiLU
                              {"input_blocks.0.0.{weight,bias}"},                                  // 3x3
                              {"{input_blocks,output_blocks}.#.#.in_layers.{0,2}.{weight,bias}"},  // norm, 3x3
                              {"{input_blocks,output_blocks}.#.#.emb_layers.1.{weight,bias}"},  // 2x wide: scale-shift
                              {"{input_blocks,output_blocks}.#.#.out_layers.{0,3}.{weight,bias}"},     // norm, 3x3
                              {"{input_blocks,output_blocks}.#.#.skip_connection.{weight,bias}"},      // 1x1
                              {"{input_blocks,output_blocks}.#.#.{norm,qkv,proj_out}.{weight,bias}"},  // attention
                              {"input_blocks.#.0.op.{weight,bias}"},                                   // 3x3, stride 2
                              {"output_blocks.#.#.conv.{weight,bias}"},  // 3x3, after nearest x2
                              {"middle_block.{0,2}.{in_layers.0,in_layers.2,emb_layers.1}.{weight,bias}"},       //
                              {"middle_block.{0,2}.{out_layers.0,out_layers.3,skip_connection}.{weight,bias}"},  //
                              {"middle_block.1.{norm,qkv,proj_out}.{weight,bias}"},                              //
                              {"out.{0,2}.{weight,bias}"},  // norm, 3x3
                          },
                          {}};
  return map;
}

namespace {

// Blocks of a level: the first change of resolution on the way up follows one block more than a level has.
int64_t blocks_per_level(const WeightShapes& weights, int64_t output_blocks) {
  for (int64_t n = 0; n < output_blocks; ++n)
    for (int64_t layer = 1; layer <= 2; ++layer) {
      const std::string name = concat_message("output_blocks.", n, ".", layer, ".");
      if (weights.has(name + "conv.weight") || weights.any_with_prefix(name + "in_")) return n;
    }
  return output_blocks - 1;
}

void infer_heads(const WeightShapes& weights, const NetworkHints& hints, DenoiserOptions* options) {
  check_input(hints.num_heads || hints.num_head_channels, Fault::kUsage, weights.where(),
              ": the number of attention heads is not in the file: give it, or the channels of a head (the "
              "scripts of guided-diffusion default to 4 heads), or reference outputs to find it by parity");
  options->heads = hints.num_heads.value_or(1);
  options->head_dim = hints.num_head_channels.value_or(0);
  options->new_attention_order = hints.new_attention_order;
}

}  // namespace

DenoiserOptions infer_guided(const WeightShapes& weights, const NetworkHints& hints) {
  check_input(!weights.has("label_emb.weight"), Fault::kBadInput, weights.where(),
              ": label_emb.weight: the network is conditioned on a class, which ours isn't; give a class label to "
              "keep that class for good");
  DenoiserOptions options;
  options.architecture = "guided";
  const std::string mask_norm = "middle_block.0.in_norm.mlp_shared.0.weight";
  if (weights.any_with_prefix("middle_block.0.in_norm.")) {
    options.condition = "spade";
    options.planes = weights.dim(mask_norm, 1) / (hints.patch * hints.patch);
  }
  infer_channels(weights, weights.dim("input_blocks.0.0.weight", 1), weights.dim("out.2.weight", 0), hints, &options);
  const int64_t blocks = weights.count("input_blocks."), output_blocks = weights.count("output_blocks.");
  options.blocks = blocks_per_level(weights, output_blocks);
  check_input(
      options.blocks > 0 && blocks == output_blocks && blocks % (options.blocks + 1) == 0, Fault::kBadInput,
      weights.where(), ": ", blocks, " input blocks and ", output_blocks, " output blocks with ", options.blocks,
      " residual blocks a level don't make a U-Net of guided-diffusion (one without conv_resample is not supported)");
  std::vector<int64_t> widths;
  options.attention_resolutions.clear();
  for (int64_t n = 1, factor = 1; n < blocks; n += options.blocks + 1, factor *= 2) {
    const std::string block = concat_message("input_blocks.", n, ".");
    widths.push_back(weights.dim(block + "0.in_layers.2.weight", 0));
    if (weights.has(block + "1.qkv.weight")) options.attention_resolutions.push_back(factor);
    const std::string down = concat_message("input_blocks.", n + options.blocks, ".0.");
    if (n + options.blocks < blocks) options.resblock_updown = !weights.has(down + "op.weight");
  }
  // Not every width need be a multiple of the first (0.5, 1, 1, 2, ..).
  options.dim = std::accumulate(widths.begin(), widths.end(), int64_t{0}, std::gcd<int64_t, int64_t>);
  options.mults.clear();
  for (const int64_t width : widths) options.mults.push_back(width / options.dim);
  const int64_t time_dim = weights.dim("time_embed.0.weight", 1);
  if (time_dim != options.dim) options.time_dim = time_dim;
  options.scale_shift = weights.dim("input_blocks.1.0.emb_layers.1.weight", 0) == 2 * widths.front();
  infer_heads(weights, hints, &options);
  return options;
}

}  // namespace echodiff
