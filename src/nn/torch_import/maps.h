// The tables of the networks we take from PyTorch, and reading a network's shape off its weights. One file each:
// map_resnet18.cpp, map_lucidrains.cpp, map_guided.cpp (with improved-diffusion), map_sdm.cpp, map_diffusers.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "nn/denoiser.h"
#include "nn/resnet18.h"
#include "nn/torch_import/key_map.h"

namespace echodiff {

const KeyMap& resnet18_map();
const KeyMap& lucidrains_map();
const KeyMap& guided_map();
const KeyMap& sdm_map();
const KeyMap& diffusers_map();

// What a file of weights doesn't say about its network.
struct NetworkHints {
  std::optional<int64_t> num_heads, num_head_channels;  // guided-diffusion, SDM: one of them is needed
  bool new_attention_order = false;                     // guided-diffusion, SDM
  std::optional<int64_t> image_channels;                // else from the output: 2 and 6 are 1 and 3 with a variance
  int64_t patch = 1;                                    // DenoiserOptions::patch and patch_basis
  std::string patch_basis = "shuffle";
  bool mask_planes = false;  // lucidrains: input channels beyond the picture's are masks, even when as many as its own
};

// The weights by name, looked up for their shapes.
class WeightShapes {
 public:
  WeightShapes(const StateDict& weights, std::string where);

  bool has(const std::string& name) const { return shapes_.contains(name); }
  bool any_with_prefix(const std::string& prefix) const;
  // Size `i` of a tensor of at least i + 1 sizes. Throws Error(kBadInput) that names it and the nearest name there is.
  int64_t dim(const std::string& name, int64_t i) const;
  // For n = 0, 1, ..: how many of prefix + "n." there are in a row.
  int64_t count(const std::string& prefix) const;
  const std::string& where() const { return where_; }

 private:
  std::map<std::string, Shape> shapes_;
  std::string where_;
};

// All throw Error: kBadInput naming the tensor that is missing or whose shape makes no sense, kUsage for a hint that
// the file needs.
ResNet18Options infer_resnet18(const WeightShapes& weights);
DenoiserOptions infer_lucidrains(const WeightShapes& weights, const NetworkHints& hints);
DenoiserOptions infer_guided(const WeightShapes& weights, const NetworkHints& hints);  // and SDM, told by its names

// Splits the channels of the first and the last convolution: sets image_channels, planes (0 with `spade`) and
// learned_variance.
void infer_channels(const WeightShapes& weights, int64_t in, int64_t out, const NetworkHints& hints,
                    DenoiserOptions* options);

// config.json of a UNet2DModel: strict both ways. A key or value that our network doesn't have is refused by name.
struct DiffusersConfig {
  DenoiserOptions options;
  int64_t sample_size = 0;           // pixels a side; 0: not said
  std::optional<int64_t> ema_steps;  // of an EMAModel, which writes its own state beside the network's keys
};

// `text` is the file's, `where` its path. Absent keys have UNet2DModel's defaults. Throws Error(kBadInput) naming the
// key, what was expected and what was found.
DiffusersConfig parse_diffusers_config(const std::string& text, const std::string& where, const NetworkHints& hints);

std::string diffusers_config_text(const DenoiserOptions& options, int64_t image_size);

}  // namespace echodiff
