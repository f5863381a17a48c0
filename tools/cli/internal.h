// What the parts of the program shell share; programs include cli.h alone.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/cli.h"

namespace echodiff::cli {

// What the command line asked for, before any value is read.
struct CommandLine {
  const Options* chosen = nullptr;  // the root, or the subcommand; null when a subcommand is missing
  bool help = false, help_all = false, version = false, print_config = false;
  std::string config;                                      // --config, "" without
  std::map<Option*, std::vector<std::string>> raw_values;  // by option, of `common` and `chosen`
};

// Tokenises argv. Throws Error(kUsage): unknown flags (with the nearest known one), missing or surplus values.
CommandLine parse_command_line(int argc, char** argv, const Options& root, const Options& common);

// Sets the options of `common` and `chosen` from a TOML file. Throws Error(kUsage) as "file:line:column: key: ...".
void apply_config(const std::string& path, const Options& root, const Options& common, const Options* chosen);

// The options as TOML: one "key = value" a line; an unset one as a comment.
std::string toml_lines(const Options& options);

// `all`: every option with its default, unit and range, also where few of them are common.
std::string help_text(const Options& root, const Options& common, const Options* chosen, bool all);

// Makes the end of a program that nothing can catch one line and an exit code (last_resort.cpp). It has run before
// main.
void prepare_last_resort();

// ", did you mean X?" for the nearest candidate, "" when none is near.
std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace echodiff::cli
