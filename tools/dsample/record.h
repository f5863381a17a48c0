// dsample --record: whole trajectories, every judge's score of every step, as a recording (quality/recording.h).
#pragma once

#include "cli/cli.h"
#include "dsample/settings.h"

namespace echodiff {

int record(const SampleSettings& settings, const Common& common);  // the exit code

}  // namespace echodiff
