// The groups of dweights' subcommands: each declares its own, and holds what their flags are bound to.
#pragma once

#include <string>

#include "cli.h"

namespace echodiff {

// inspect, convert, diff: files of weights as they are (dweights_files.cpp).
struct FileCommands {
  std::string file, out, other;
  void declare(Options& root);
};

}  // namespace echodiff
