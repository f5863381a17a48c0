// What training begins with: the network and weights of --init, whoever wrote the file.
#pragma once

#include "dtrain/flags.h"
#include "nn/denoiser.h"

namespace echodiff {

struct InitialNetwork {
  DenoiserOptions options;
  StateDict weights;
};

// --init: a run directory or checkpoint of ours, or any PyTorch file that dweights import takes. Throws Error:
// kMissingInput, kBadInput; kUsage where a flag says otherwise than the file.
InitialNetwork read_initial_network(const DiffusionFlags& flags, const Common& common);

// The network of a run that goes on: what no flag of dtrain says, and what was not given, is as the checkpoint has it.
void adopt_saved_network(const DenoiserRun& saved, const Common& common, DenoiserRun* run);

}  // namespace echodiff
