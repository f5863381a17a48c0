// The parts of a training checkpoint: which tensors are the network's, which its moving average's, which its
// optimiser's. A bare state dict is a checkpoint with one part.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "nn/module.h"
#include "nn/torch_import/weights_file.h"

namespace echodiff {

// Adam's state. PyTorch's file has no names: entry i belongs to the i-th parameter.
struct SourceAdam {
  std::vector<Tensor> exp_avg, exp_avg_sq;  // undefined where the file has none
  int64_t step = 0;
  std::map<std::string, double> settings;  // lr, betas.0, betas.1, eps, weight_decay, ... of the first group
};

struct SourceParts {
  // Names without wrappers, in the file's order. Wrappers are what frameworks put before a network's own names, as
  // often as they do: module. (DataParallel), _orig_mod. (compile), model., ema_model., unet., state_dict., ...
  StateDict model, ema;
  // Names in `model` that lay outside of what holds the model ("extra" beside "model.conv.weight"): a checkpoint's
  // statistics, buffers of the diffusion process, another network.
  std::set<std::string> beside;
  SourceAdam adam;
  std::optional<int64_t> step, ema_step;  // training steps, and updates of the average
  std::vector<std::string> ignored;       // other tensors: second copies of the model, optimisers of other kinds
};

SourceParts split_parts(const WeightsFile& file);

}  // namespace echodiff
