// What training begins with: the network and weights of --init, whoever wrote the file, or what --resume goes on from.
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

// The run that this one goes on from, or else a run of ours that it begins with: all that its checkpoint says but the
// weights. Nothing for a new run, and for another's file. Throws Error(kBadInput) for a damaged one.
std::optional<DenoiserRun> earlier_run(const DiffusionFlags& flags);

// Takes over its schedule, prediction, T, patches, variance and fit, each unless its flag was given. Throws
// Error(kUsage) where a flag says otherwise: a network answers what it was trained to answer, at the times it knows.
// Only another fit is allowed, where the run is a new one.
void adopt_run(const DenoiserRun& earlier, const DiffusionFlags& flags, const Common& common, DenoiserRun* run);

// What is added to the schedule's log-SNR: as `earlier` has it, where there is such a run, or as the flag says for
// pictures of the run's size. Throws Error(kUsage) where the flag says otherwise than the run.
void shift_schedule(const std::optional<DenoiserRun>& earlier, const DiffusionFlags& flags, const Common& common,
                    DenoiserRun* run);

// The network of a run that goes on: what no flag of dtrain says, and what was not given, is as the checkpoint has it.
void adopt_saved_network(const DenoiserRun& saved, const Common& common, DenoiserRun* run);

}  // namespace echodiff
