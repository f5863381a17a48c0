// What a diffusion checkpoint says about its network, and loading one to sample from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/diffusion.h"
#include "diffusion/schedule.h"
#include "nn/denoiser.h"
#include "train/checkpoint.h"
#include "train/folder/fit.h"

namespace echodiff {

// Everything besides the weights that sampling needs.
struct DenoiserRun {
  DenoiserOptions options;
  ScheduleKind schedule = ScheduleKind::linear;
  double log_snr_shift = 0;  // of the schedule; a checkpoint that doesn't say it has none
  Prediction prediction = Prediction::eps;
  int64_t T = 2000;
  int64_t image_size = 64;             // pixels a side
  std::vector<std::string> planes;     // of the condition, the sector last
  std::string variance = "posterior";  // beta, posterior or learned
  Fit fit = Fit::squash;               // how its pictures became square; a checkpoint that doesn't say it means squash
  // Share of samples trained without organ masks; unknown of networks from elsewhere. Not written by to_metadata().
  std::optional<double> mask_drop;
};

// As a checkpoint's metadata states it, one text a value, and back. Throws Error(kBadInput), naming `path` and the key,
// for one that is missing or not understood.
Metadata to_metadata(const DenoiserRun& run);
DenoiserRun denoiser_run(const Metadata& metadata, const std::string& path);

// Its noise schedule.
Schedule schedule_of(const DenoiserRun& run);

// The fit that a checkpoint's metadata state under "fit": squash where they state none.
Fit fit_in(const Metadata& metadata, const std::string& path);
// The same of any run directory or checkpoint file. Throws Error: kMissingInput without one, kBadInput.
Fit fit_of_run(const std::string& run);

struct LoadedDenoiser : DenoiserRun {
  Denoiser network;        // in evaluation mode
  int64_t step = 0;        // training steps it has had
  std::string checkpoint;  // the file
  std::string best;        // said_of_best
};

// Which weights of a run: averaged ones, of the least validation loss or the newest, or the newest raw ones.
struct WeightChoice {
  bool ema = true, best = true;
};

// Those of a run directory (or one checkpoint file); raw ones also where it has no others. Throws Error: kMissingInput
// without a run or checkpoint, kBadInput when it is damaged.
LoadedDenoiser load_denoiser_run(const std::string& run, const WeightChoice& choice = {});

// A line for who gave the run, about a checkpoint of it that is the best; "" for every other one.
std::string said_of_best(const std::string& run, const SafetensorsFile& checkpoint);

}  // namespace echodiff
