// diffusers' UNet2DModel. Before 0.18 its attention had other names, which diffusers renames on reading, as we do.
#include "nn/torch_import/maps.h"

namespace echodiff {

const KeyMap& diffusers_map() {
  static const KeyMap map{
      "diffusers",
      {
          {"conv_in.{weight,bias}"},                                                        // 3x3
          {"time_embedding.linear_{1,2}.{weight,bias}"},                                    //
          {"{down_blocks.#,up_blocks.#,mid_block}.resnets.#.norm{1,2}.{weight,bias}"},      //
          {"{down_blocks.#,up_blocks.#,mid_block}.resnets.#.conv{1,2}.{weight,bias}"},      // 3x3
          {"{down_blocks.#,up_blocks.#,mid_block}.resnets.#.time_emb_proj.{weight,bias}"},  //
          {"{down_blocks.#,up_blocks.#,mid_block}.resnets.#.conv_shortcut.{weight,bias}"},  // 1x1
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.group_norm.{weight,bias}"},  //
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.to_{q,k,v}.{weight,bias}"},  //
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.to_out.0.{weight,bias}"},    //
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.query.{weight,bias}", "*.attentions.#.to_q.*"},
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.key.{weight,bias}", "*.attentions.#.to_k.*"},
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.value.{weight,bias}", "*.attentions.#.to_v.*"},
          {"{down_blocks.#,up_blocks.#,mid_block}.attentions.#.proj_attn.{weight,bias}", "*.attentions.#.to_out.0.*"},
          {"{down_blocks.#.downsamplers,up_blocks.#.upsamplers}.0.conv.{weight,bias}"},           // 3x3
          {"{down_blocks.#.downsamplers,up_blocks.#.upsamplers}.0.norm{1,2}.{weight,bias}"},      // "resnet"
          {"{down_blocks.#.downsamplers,up_blocks.#.upsamplers}.0.conv{1,2}.{weight,bias}"},      //
          {"{down_blocks.#.downsamplers,up_blocks.#.upsamplers}.0.time_emb_proj.{weight,bias}"},  //
          {"conv_norm_out.{weight,bias}"},                                                        //
          {"conv_out.{weight,bias}"},                                                             // 3x3
      },
      {}};
  return map;
}

}  // namespace echodiff
