// The folders that diffusers saves: where the parts of one lie, and what its scheduler says of the training.
#pragma once

#include <string>
#include <vector>

namespace echodiff {

// Paths; "" where there is none.
struct DiffusersFolder {
  std::string weights, config;  // config.json beside the weights
  std::string ema, ema_config;  // of an EMAModel's folder beside it (unet_ema)
  std::string scheduler;        // scheduler_config.json
};

// `path` may be a file of weights of any kind, the folder of a network, or one with it in unet/, as pipelines and
// training scripts save. Looks at names only. The scheduler's config lies in that folder, in scheduler/, or one folder
// further up.
DiffusersFolder find_diffusers_folder(const std::string& path);

struct DiffusersScheduler {
  std::vector<double> betas;           // one a step
  std::string betas_are;               // the keys they come from, for messages
  std::string prediction;              // eps, v or x0
  std::string variance = "posterior";  // posterior, beta or learned: what DDPMScheduler samples with
};

// `text` is the file's, `where` its path. Keys that only say how to sample are left alone. Throws Error(kBadInput)
// naming the key for a scheduler that is not one of discrete steps, and for betas, predictions and variances unknown.
DiffusersScheduler parse_diffusers_scheduler(const std::string& text, const std::string& where);

}  // namespace echodiff
