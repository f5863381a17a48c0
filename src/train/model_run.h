// What a diffusion checkpoint says about its network, and loading one to sample from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffusion/diffusion.h"
#include "diffusion/schedule.h"
#include "nn/denoiser.h"
#include "train/checkpoint.h"

namespace echodiff {

// Everything besides the weights that sampling needs.
struct DenoiserRun {
  DenoiserOptions options;
  ScheduleKind schedule = ScheduleKind::linear;
  Prediction prediction = Prediction::eps;
  int64_t T = 2000;
  int64_t image_size = 64;             // pixels a side
  std::vector<std::string> planes;     // of the condition, the sector last
  std::string variance = "posterior";  // beta, posterior or learned
};

// As a checkpoint's metadata states it, one text a value, and back. Throws Error(kBadInput), naming `path` and the key,
// for one that is missing or not understood.
Metadata to_metadata(const DenoiserRun& run);
DenoiserRun denoiser_run(const Metadata& metadata, const std::string& path);

struct LoadedDenoiser : DenoiserRun {
  Denoiser network;  // in evaluation mode
  int64_t step = 0;  // training steps it has had
};

// The newest checkpoint of a run directory (or one checkpoint file): its EMA weights, or the raw ones when `ema` is
// false or it has none. Throws Error: kMissingInput without a run or checkpoint, kBadInput when it is damaged.
LoadedDenoiser load_denoiser_run(const std::string& run, bool ema);

// "1,2,4" <-> {1, 2, 4}; "" is the empty list. Throws Error(kUsage), naming `what`, unless all are positive.
std::vector<int64_t> parse_integers(const std::string& text, const std::string& what);
std::string join(const std::vector<int64_t>& values);
std::string join(const std::vector<std::string>& values);
std::vector<std::string> split_list(const std::string& text);  // "a,b" -> {a, b}; "" is the empty list

}  // namespace echodiff
