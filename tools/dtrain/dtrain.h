// The subcommands of dtrain: each adds its flags and its body.
#pragma once

#include "cli/cli.h"

namespace echodiff {

void add_diffusion(Options& program);
void add_scorer(Options& program);
void add_value(Options& program);
void add_segmenter(Options& program);
void add_ema(Options& program);
void add_status(Options& program);
void add_doctor(Options& program);

}  // namespace echodiff
