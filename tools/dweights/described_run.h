// What an imported network becomes as a run: from its file, diffusers' scheduler, the flags, or assumed and said.
#pragma once

#include <string>

#include "cli/cli.h"
#include "dweights/dweights.h"
#include "train/model_run.h"

namespace echodiff {

// Throws Error: kUsage for flags that don't fit the network, kBadInput for a scheduler whose betas are none of ours.
DenoiserRun describe_run(const ImportCommand& flags, const DenoiserImport& import, const Common& common);

// RUN/config.toml, for dtrain diffusion --config RUN/config.toml --resume.
std::string config_text(const DenoiserRun& run, const DenoiserImport& import);

}  // namespace echodiff
