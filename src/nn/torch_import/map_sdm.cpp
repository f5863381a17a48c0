// The Semantic Diffusion Model (Wang et al. 2022, arXiv:2207.00050): guided-diffusion's encoder, SPADE norms in the
// middle and the decoder. Unproven: no file of the original code was at hand, the names are those of its source.
#include "nn/torch_import/maps.h"

namespace echodiff {

const KeyMap& sdm_map() {
  static const KeyMap map{
      "sdm",
      {
          {"time_embed.{0,2}.{weight,bias}"},
          {"input_blocks.0.0.{weight,bias}"},
          {"input_blocks.#.#.{in_layers.0,in_layers.2,emb_layers.1}.{weight,bias}"},
          {"input_blocks.#.#.{out_layers.0,out_layers.3,skip_connection}.{weight,bias}"},
          {"input_blocks.#.0.op.{weight,bias}"},
          {"{input_blocks,output_blocks}.#.#.{norm,qkv,proj_out}.{weight,bias}"},
          // The norm stands outside the Sequential, whose indices shift by one.
          {"{middle_block,output_blocks.#}.#.{in_norm,out_norm}.mlp_shared.0.{weight,bias}"},
          {"{middle_block,output_blocks.#}.#.{in_norm,out_norm}.mlp_{gamma,beta}.{weight,bias}"},
          {"middle_block.{0,2}.{in_layers.1,emb_layers.1,out_layers.2}.{weight,bias}"},
          {"middle_block.1.{norm,qkv,proj_out}.{weight,bias}"},
          {"output_blocks.#.#.{in_layers.1,emb_layers.1,out_layers.2,skip_connection}.{weight,bias}"},
          {"output_blocks.#.#.conv.{weight,bias}"},
          {"out.{0,2}.{weight,bias}"},
      },
      {}};
  return map;
}

}  // namespace echodiff
