// What dtrain diffusion does at a validation: the loss of the averaged network, and the best weights kept.
#pragma once

#include <string>

#include "dtrain/diffusion_training.h"

namespace echodiff {

// After begin_training: what the run's validations and its best checkpoint have said. `saved`: what it goes on from, if
// anything.
void begin_validations(DiffusionTraining& training, const std::optional<SafetensorsFile>& saved);

// Validates after `done` steps, and keeps the averaged weights where their loss is the least so far. `logged`: the log
// has the line already.
void validate_now(DiffusionTraining& training, PatientLog& log, int64_t done, bool logged);

// Why training ends before its last step, by --stop-on and what the validations so far have said; "" where it goes on.
std::string reason_to_stop(const DiffusionTraining& training);

}  // namespace echodiff
