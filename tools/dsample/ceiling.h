// --ceiling: the AUROC of an ideal judge after some calls, by branching the noise that remains.
#pragma once

#include "cli/cli.h"
#include "dsample/settings.h"

namespace echodiff {

// Samples count x branches trajectories for each number of calls in --branch-after, labels their endings by
// --thresholds and writes the table. Returns the exit code.
int find_ceiling(const SampleSettings& settings, const Common& common);

}  // namespace echodiff
