// The averaged weights of the least validation loss so far, a checkpoint file of their own:
//
//   RUN/checkpoints/best-00000100.safetensors   NAME: averaged weights; val_loss in the metadata beside what all have
//
// The newest is the best. An older one stays as long as a checkpoint to go on from is older than the newer ones: a run
// that goes on from it begins with the best of then, and makes the newer ones again.
#pragma once

#include <string>

#include "train/checkpoint.h"

namespace echodiff {

constexpr const char* kValidationLoss = "val_loss";  // in the metadata, of such a file alone

// The path of the best checkpoint of a run directory; "" without one.
std::string best_checkpoint(const std::string& run);

// Writes one, whole or not at all, then removes those that nobody needs any more. Throws Error as save_checkpoint does.
void save_best(const std::string& run, int64_t step, std::vector<NamedTensor> averaged, const Metadata& metadata);
// The removing alone: after a save of the run, which removes older checkpoints. Failing to is no harm.
void prune_best(const std::string& run);
// Removes those of more than `step` steps, which a run that goes on from there has not had.
void forget_best_after(const std::string& run, int64_t step);

}  // namespace echodiff
