#include "nn/torch_import/diffusers_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

namespace echodiff {
namespace {

using Json = nlohmann::ordered_json;

// Takes keys out of the object; what is left at the end is unknown.
class ConfigReader {
 public:
  ConfigReader(Json json, const std::string& where) : json_(std::move(json)), where_(where) {}

  // The value of `key`, or `initial` when it is absent or null.
  template <class T>
  T take(const std::string& key, const T& initial) {
    const Json value = pop(key);
    if (value.is_null()) return initial;
    try {
      return value.get<T>();
    } catch (const nlohmann::json::exception&) {
      refuse(key, "another type", value);
    }
  }

  // Refuses any value but `only`; null and absence are `only` too where it says so.
  void expect(const std::string& key, const Json& only) {
    const bool absent = !json_.contains(key);
    const Json value = pop(key);
    if (!absent && value != only) refuse(key, only.dump(), value);
  }

  bool has(const std::string& key) const { return json_.contains(key); }

  Json pop(const std::string& key) {
    if (!json_.contains(key)) return Json();
    Json value = json_.at(key);
    json_.erase(key);
    return value;
  }

  [[noreturn]] void refuse(const std::string& key, const std::string& expected, const Json& found) const {
    throw Error(Fault::kBadInput, concat_message(where_, ": ", key, ": expected ", expected, ", found ",
                                                 found.dump(-1, ' ', true, Json::error_handler_t::replace),
                                                 "; this U-Net is not supported"));
  }

  void finish() const {
    std::string unknown;
    for (const auto& [key, value] : json_.items())
      if (!key.starts_with("_")) unknown += (unknown.empty() ? "" : ", ") + key;  // _diffusers_version, ..
    check_input(unknown.empty(), Fault::kBadInput, where_, ": unknown keys: ", unknown,
                "; expected those of UNet2DModel");
  }

 private:
  Json json_;
  const std::string& where_;
};

// With attention or without, by level; `order` from above or from below.
std::vector<bool> read_types(ConfigReader& read, const std::string& key, const std::vector<std::string>& initial,
                             const std::string& plain, const std::string& attended) {
  std::vector<bool> attention;
  for (std::string type : read.take(key, initial)) {
    if (type.starts_with("UNetRes")) type = type.substr(7);  // a name of old, as diffusers takes it
    if (type != plain && type != attended) read.refuse(key, plain + " or " + attended, Json(type));
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

bool read_resample(ConfigReader& read, const std::string& key) {
  const std::string kind = read.take<std::string>(key, "conv");
  if (kind != "conv" && kind != "resnet") read.refuse(key, "conv or resnet", Json(kind));
  return kind == "resnet";
}

int64_t read_sample_size(ConfigReader& read) {
  const Json size = read.pop("sample_size");
  if (size.is_number_integer()) return size.get<int64_t>();
  return 0;  // absent, or a height and a width: the network takes any
}

void read_network(ConfigReader& read, DenoiserOptions* net) {
  DiffusersDetails& d = net->diffusers;
  net->architecture = "diffusers";
  net->blocks = read.take<int64_t>("layers_per_block", 2);
  net->head_dim = read.has("attention_head_dim") ? read.take<int64_t>("attention_head_dim", 0) : 8;  // null: one head
  net->dropout = read.take<double>("dropout", 0);
  const std::string shift = read.take<std::string>("resnet_time_scale_shift", "default");
  if (shift != "default" && shift != "scale_shift")
    read.refuse("resnet_time_scale_shift", "default or scale_shift", Json(shift));
  net->scale_shift = shift == "scale_shift";
  d.norm_num_groups = read.take<int64_t>("norm_num_groups", 32);
  d.norm_eps = read.take<double>("norm_eps", 1e-5);
  d.flip_sin_to_cos = read.take<bool>("flip_sin_to_cos", true);
  d.freq_shift = double(read.take<int64_t>("freq_shift", 0));
  d.downsample_padding = read.take<int64_t>("downsample_padding", 1);
  d.act_fn = read.take<std::string>("act_fn", "silu");
  if (d.act_fn == "swish") d.act_fn = "silu";
  if (d.act_fn != "silu" && d.act_fn != "relu" && d.act_fn != "gelu")
    read.refuse("act_fn", "silu, swish, relu or gelu", Json(d.act_fn));
  d.add_attention = read.take<bool>("add_attention", true);
  d.attn_norm_num_groups = read.take<int64_t>("attn_norm_num_groups", 0);
  d.mid_block_scale_factor = read.take<double>("mid_block_scale_factor", 1);
  d.center_input_sample = read.take<bool>("center_input_sample", false);
  d.time_embedding_dim = read.take<int64_t>("time_embedding_dim", 0);
  d.downsample_resnet = read_resample(read, "downsample_type");
  d.upsample_resnet = read_resample(read, "upsample_type");
}

void read_levels(ConfigReader& read, DenoiserOptions* net, const std::string& where) {
  const std::vector<int64_t> widths = read.take<std::vector<int64_t>>("block_out_channels", {224, 448, 672, 896});
  const std::vector<bool> down =
      read_types(read, "down_block_types", {"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
                 "DownBlock2D", "AttnDownBlock2D");
  std::vector<bool> up =
      read_types(read, "up_block_types", {"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"}, "UpBlock2D",
                 "AttnUpBlock2D");
  check_input(!widths.empty() && widths.size() == down.size() && widths.size() == up.size() && widths.size() < 16 &&
                  *std::ranges::min_element(widths) > 0 && *std::ranges::max_element(widths) < (1 << 16),
              Fault::kBadInput, where, ": block_out_channels: expected one positive width for each of ", down.size(),
              " down_block_types and ", up.size(), " up_block_types, found ", widths.size());
  std::reverse(up.begin(), up.end());
  net->dim = std::accumulate(widths.begin(), widths.end(), int64_t{0}, std::gcd<int64_t, int64_t>);
  net->mults.clear();
  for (const int64_t width : widths) net->mults.push_back(width / net->dim);
  net->attention_resolutions = resolutions(down);
  if (up != down) net->up_attention_resolutions = resolutions(up);
}

}  // namespace

DiffusersConfig parse_diffusers_config(const std::string& text, const std::string& where, const NetworkHints& hints) {
  Json json = Json::parse(text, nullptr, false);
  check_input(json.is_object(), Fault::kBadInput, where, ": expected a JSON object, the config.json of a UNet2DModel");
  ConfigReader read(std::move(json), where);
  DiffusersConfig config;
  DenoiserOptions& net = config.options;
  const std::string kind = read.take<std::string>("_class_name", "UNet2DModel");
  if (kind != "UNet2DModel") read.refuse("_class_name", "UNet2DModel", Json(kind));
  read.expect("class_embed_type", nullptr);
  read.expect("num_class_embeds", nullptr);
  read.expect("time_embedding_type", "positional");
  read.expect("mid_block_type", "UNetMidBlock2D");
  read.pop("num_train_timesteps");  // of a learned time embedding
  config.sample_size = read_sample_size(read);
  const int64_t in = read.take<int64_t>("in_channels", 3), out = read.take<int64_t>("out_channels", 3);
  infer_channels(WeightShapes({}, where), in, out, hints, &net);
  read_network(read, &net);
  read_levels(read, &net, where);
  read.finish();
  return config;
}

std::string diffusers_config_text(const DenoiserOptions& net, int64_t sample_size) {
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
  const auto or_null = [](int64_t value) { return value > 0 ? Json(value) : Json(); };
  const Json config{{"_class_name", "UNet2DModel"},
                    {"sample_size", or_null(sample_size)},
                    {"in_channels", net.image_channels + net.planes},
                    {"out_channels", (net.learned_variance ? 2 : 1) * net.image_channels},
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
