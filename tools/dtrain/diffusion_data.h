// What dtrain diffusion learns from: the pictures, and the network it begins with.
#pragma once

#include <optional>

#include "dtrain/flags.h"
#include "train/data/loader.h"

namespace echodiff {

// A data set, or a recorded sequence of batches.
struct DiffusionData {
  std::optional<Dataset> dataset;
  std::optional<Loader> training, held_out;
  std::optional<Replay> replay;
};

// Reads them, says on stderr what they are, and fills in the run's planes, sizes and shift of its schedule. The planes
// come in the order of `earlier`, where there is such a run. Throws Error as load_dataset, Replay and shift_schedule
// do; kBadInput where nothing is to be trained on, or the planes have other names.
DiffusionData open_data(const DiffusionFlags& flags, const Common& common, const std::optional<DenoiserRun>& earlier,
                        DenoiserRun* run);

// The weights of --init, whose network becomes that of the run; none without the flag.
StateDict initial_weights(const DiffusionFlags& flags, const Common& common, DenoiserRun* run);

}  // namespace echodiff
