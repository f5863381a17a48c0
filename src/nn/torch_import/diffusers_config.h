// config.json of a UNet2DModel: strict both ways. A key or value that our network doesn't have is refused by name.
#pragma once

#include <cstdint>
#include <string>

#include "nn/torch_import/maps.h"

namespace echodiff {

struct DiffusersConfig {
  DenoiserOptions options;
  int64_t sample_size = 0;  // pixels a side; 0: not said
};

// `text` is the file's, `where` its path. Absent keys have UNet2DModel's defaults. Throws Error(kBadInput) naming the
// key, what was expected and what was found.
DiffusersConfig parse_diffusers_config(const std::string& text, const std::string& where, const NetworkHints& hints);

std::string diffusers_config_text(const DenoiserOptions& options, int64_t sample_size);

}  // namespace echodiff
