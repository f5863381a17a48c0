// Reading what dsample left.
#pragma once

#include "dreport/runs.h"

namespace echodiff {

// Throws Error(kBadInput), naming file and line, for damage and for a kept picture that isn't there.
SamplingRun read_sampling(const RunPlace& place);

}  // namespace echodiff
