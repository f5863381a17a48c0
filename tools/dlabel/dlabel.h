// The subcommands of dlabel that have a file of their own.
#pragma once

#include "cli/cli.h"

namespace echodiff {

void add_evaluate(Options& root);
void add_attack(Options& root);

}  // namespace echodiff
