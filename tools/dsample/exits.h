// --fit-adadiff: the uncertainty heads that say which network calls may leave early.
#pragma once

#include "cli/cli.h"
#include "dsample/settings.h"

namespace echodiff {

// Samples --count trajectories and writes the rule. Returns the exit code.
int fit_adadiff(const SampleSettings& settings, const Common& common);

}  // namespace echodiff
