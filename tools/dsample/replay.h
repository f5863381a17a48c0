// dsample --simulate: a policy replayed on a recording, with the folder a live run would leave; --fit: the restart rule
// fitted on it.
#pragma once

#include "cli/cli.h"
#include "dsample/settings.h"

namespace echodiff {

int replay_policy(const SampleSettings& settings, const Common& common);  // the exit code
int fit_rule(const SampleSettings& settings, const Common& common);

}  // namespace echodiff
