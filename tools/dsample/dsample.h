// What dsample does, a file each.
#pragma once

#include <string>
#include <vector>

#include "cli/cli.h"

namespace echodiff {

void add_sample(Options& program);  // the bare program
void add_record(Options& program);
void add_replay(Options& program);
void add_fit(Options& program);
void add_fit_exits(Options& program);
void add_fit_grid(Options& program);
void add_ceiling(Options& program);
void add_merge(Options& program);

// The arguments with the flags of the version before (--record, --simulate, --fit, --fit-adadiff, --ceiling) in place
// of a subcommand written as that subcommand, and a note on stderr that says so. Goes with the next version.
std::vector<std::string> in_new_form(const std::vector<std::string>& arguments);
void ignore_old_keys(Options& program);  // of their config.toml

}  // namespace echodiff
