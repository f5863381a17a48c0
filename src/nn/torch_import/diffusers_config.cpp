#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "nn/torch_import/maps.h"
#include "tensor/io/json.h"

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;

// With attention or without, by level; `order` from above or from below.
std::vector<bool> read_types(const JsonNode& json, const std::string& key, const std::vector<std::string>& initial,
                             const std::string& plain, const std::string& attended) {
  std::vector<bool> attention;
  for (std::string type : json.find(key) != nullptr ? json.texts(key) : initial) {
    if (type.starts_with("UNetRes")) type = type.substr(7);  // a name of old, as diffusers takes it
    if (type != plain && type != attended) json.refuse(key, "each " + plain + " or " + attended);
    attention.push_back(type == attended);
  }
  return attention;
}

std::vector<int64_t> resolutions(const std::vector<bool>& attention) {
  std::vector<int64_t> out;
  for (size_t level = 0; level < attention.size(); ++level)
    if (attention[level]) out.push_back(int64_t{1} << level);
  return out;
}

void read_network(const JsonNode& json, DenoiserOptions* net) {
  DiffusersDetails& d = net->diffusers;
  net->architecture = "diffusers";
  net->blocks = json.integer("layers_per_block", 2);
  net->head_dim = json.integer("attention_head_dim", json.has("attention_head_dim") ? 0 : 8);  // null: one head
  net->dropout = json.number("dropout", 0);
  net->scale_shift = json.choice("resnet_time_scale_shift", {"default", "scale_shift"}, "default") == "scale_shift";
  d.norm_num_groups = json.integer("norm_num_groups", 32);
  d.norm_eps = json.number("norm_eps", 1e-5);
  d.flip_sin_to_cos = json.flag("flip_sin_to_cos", true);
  d.freq_shift = double(json.integer("freq_shift", 0));
  d.downsample_padding = json.integer("downsample_padding", 1);
  d.act_fn = json.choice("act_fn", {"silu", "swish", "relu", "gelu"}, "silu");
  if (d.act_fn == "swish") d.act_fn = "silu";
  d.add_attention = json.flag("add_attention", true);
  d.attn_norm_num_groups = json.integer("attn_norm_num_groups", 0);
  d.mid_block_scale_factor = json.number("mid_block_scale_factor", 1);
  d.center_input_sample = json.flag("center_input_sample", false);
  d.time_embedding_dim = json.integer("time_embedding_dim", 0);
  d.downsample_resnet = json.choice("downsample_type", {"conv", "resnet"}, "conv") == "resnet";
  d.upsample_resnet = json.choice("upsample_type", {"conv", "resnet"}, "conv") == "resnet";
}

void read_levels(const JsonNode& json, DenoiserOptions* net) {
  std::vector<int64_t> widths{224, 448, 672, 896};
  if (json.find("block_out_channels") != nullptr) widths = json.integers("block_out_channels");
  const std::vector<bool> down =
      read_types(json, "down_block_types", {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
                 "DownBlock2D", "AttnDownBlock2D");
  std::vector<bool> up =
      read_types(json, "up_block_types", {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"}, "UpBlock2D",
                 "AttnUpBlock2D");
  check_input(!widths.empty() && widths.size() == down.size() && widths.size() == up.size() && widths.size() < 16 &&
                  *std::ranges::min_element(widths) > 0 && *std::ranges::max_element(widths) < (1 << 16),
              Fault::kBadInput, json.where, ": block_out_channels: expected one positive width for each of ",
              down.size(), " down_block_types and ", up.size(), " up_block_types, found ", widths.size());
  std::reverse(up.begin(), up.end());
  net->dim = std::accumulate(widths.begin(), widths.end(), int64_t{0}, std::gcd<int64_t, int64_t>);
  net->mults.clear();
  for (const int64_t width : widths) net->mults.push_back(width / net->dim);
  net->attention_resolutions = resolutions(down);
  if (up != down) net->up_attention_resolutions = resolutions(up);
}

}  // namespace

DiffusersConfig parse_diffusers_config(const std::string& text, const std::string& where, const NetworkHints& hints) {
  const JsonNode json = parse_json(text, where);
  DiffusersConfig config;
  DenoiserOptions& net = config.options;
  json.choice("_class_name", {"UNet2DModel"}, "UNet2DModel");
  for (const char* key : {"class_embed_type", "num_class_embeds"})
    if (json.find(key) != nullptr) json.refuse(key, "null");
  if (json.has("time_embedding_type")) json.choice("time_embedding_type", {"positional"});
  if (json.has("mid_block_type")) json.choice("mid_block_type", {"UNetMidBlock2D"});
  const JsonNode* size = json.find("sample_size");  // may be a height and a width: the network takes any
  if (size != nullptr && size->kind == JsonNode::Kind::kNumber) config.sample_size = json.integer("sample_size");
  const int64_t in = json.integer("in_channels", 3), out = json.integer("out_channels", 3);
  infer_channels(WeightShapes({}, where), in, out, hints, &net);
  read_network(json, &net);
  read_levels(json, &net);
  json.find("num_train_timesteps");  // of a learned time embedding
  if (json.find("optimization_step") != nullptr) config.ema_steps = json.count("optimization_step");
  for (const char* key : {"decay", "min_decay", "update_after_step", "use_ema_warmup", "inv_gamma", "power"})
    if (config.ema_steps) json.find(key);
  for (const auto& [key, node] : json.fields)
    if (key.starts_with("_")) json.find(key);  // _diffusers_version, ..
  json.done();
  return config;
}

std::string diffusers_config_text(const DenoiserOptions& net, int64_t image_size) {
  const DiffusersDetails& d = net.diffusers;
  Json down = Json::array(), up = Json::array(), widths = Json::array();
  const std::vector<int64_t> up_resolutions = net.up_attention_resolutions.value_or(net.attention_resolutions);
  const auto attends = [](const std::vector<int64_t>& list, size_t level) {
    return std::ranges::find(list, int64_t{1} << level) != list.end();
  };
  for (size_t level = 0; level < net.mults.size(); ++level) {
    widths.push_back(net.dim * net.mults[level]);
    down.push_back(attends(net.attention_resolutions, level) ? "AttnDownBlock2D" : "DownBlock2D");
    up.insert(up.begin(), attends(up_resolutions, level) ? "AttnUpBlock2D" : "UpBlock2D");
  }
  const int64_t pixels = net.patch * net.patch;
  const auto or_null = [](int64_t value) { return value > 0 ? Json(value) : Json(); };
  const Json config{{"_class_name", "UNet2DModel"},
                    {"sample_size", or_null(image_size / net.patch)},
                    {"in_channels", pixels * (net.image_channels + net.planes)},
                    {"out_channels", pixels * (net.learned_variance ? 2 : 1) * net.image_channels},
                    {"center_input_sample", d.center_input_sample},
                    {"time_embedding_type", "positional"},
                    {"time_embedding_dim", or_null(d.time_embedding_dim)},
                    {"freq_shift", int64_t(d.freq_shift)},
                    {"flip_sin_to_cos", d.flip_sin_to_cos},
                    {"down_block_types", down},
                    {"mid_block_type", "UNetMidBlock2D"},
                    {"up_block_types", up},
                    {"block_out_channels", widths},
                    {"layers_per_block", net.blocks},
                    {"mid_block_scale_factor", d.mid_block_scale_factor},
                    {"downsample_padding", d.downsample_padding},
                    {"downsample_type", d.downsample_resnet ? "resnet" : "conv"},
                    {"upsample_type", d.upsample_resnet ? "resnet" : "conv"},
                    {"dropout", net.dropout},
                    {"act_fn", d.act_fn},
                    {"attention_head_dim", or_null(net.head_dim)},
                    {"norm_num_groups", d.norm_num_groups},
                    {"attn_norm_num_groups", or_null(d.attn_norm_num_groups)},
                    {"norm_eps", d.norm_eps},
                    {"resnet_time_scale_shift", net.scale_shift ? "scale_shift" : "default"},
                    {"add_attention", d.add_attention},
                    {"class_embed_type", nullptr},
                    {"num_class_embeds", nullptr},
                    {"num_train_timesteps", nullptr}};
  return config.dump(2) + "\n";
}

}  // namespace echodiff
