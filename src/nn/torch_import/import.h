// From a PyTorch file, in any container, to a network of ours: options read off the weights (or config.json), weights
// under our names, and the training state where the file has it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/torch_import/diffusers_folder.h"
#include "nn/torch_import/maps.h"
#include "nn/torch_import/source_parts.h"
#include "nn/torch_import/weights_file.h"

namespace echodiff {

struct ImportOptions {
  std::string as;    // resnet18 | lucidrains | guided-diffusion | sdm | diffusers; "": told by the names
  std::string part;  // model | ema; "": all there is
  NetworkHints hints;
  std::optional<int64_t> class_label;  // of a class-conditional network: keeps this class for good
  std::optional<int64_t> classes;      // resnet18: 1 replaces the last layer by a fresh logit
  uint64_t seed = 0;                   // of that fresh layer
};

// Which of the five the names belong to. Throws Error(kBadInput).
std::string recognise_network(const StateDict& weights, const std::string& where);

struct DenoiserImport {
  DenoiserOptions options;
  int64_t image_size = 0;  // pixels a side, where a config.json says so
  StateDict model, ema;    // of the network; ema may be empty
  // Adam's, by the names of the parameters; empty unless the file holds a state for every one.
  StateDict exp_avg, exp_avg_sq;
  int64_t adam_step = 0;
  std::map<std::string, double> adam_settings;  // lr, betas.0, betas.1, eps, weight_decay
  int64_t step = 0, ema_step = 0;               // training steps had; updates of the average
  StateDict buffers;                            // of GaussianDiffusion: betas, loss_weight, ...
  std::optional<DiffusersScheduler> scheduler;  // where diffusers saved one, and its path
  std::string scheduler_path;
  std::vector<std::string> notes;  // what a person should know, one line each
};

// `path` may be a folder that diffusers saved, or a pipeline with one in unet/, and unet_ema/ beside it. Throws Error:
// kMissingInput, kBadInput with everything amiss in one line, kUsage for what the file doesn't say and `options` must.
DenoiserImport import_denoiser(const std::string& path, const ImportOptions& options);

struct ResNet18Import {
  ResNet18Options options;
  StateDict weights;
  std::vector<std::string> notes;
};
ResNet18Import import_resnet18(const std::string& path, const ImportOptions& options);

}  // namespace echodiff
