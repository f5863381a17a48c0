// The checkpoint of what is given as a run. Weights of other programs are none, and have to be imported first.
#pragma once

#include <string>

namespace echodiff {

// The newest checkpoint of a run directory, "" where it has none yet; a checkpoint file is itself. Throws Error:
// kBadInput for weights of other programs (a file, or a folder that diffusers saved), with the line that imports them,
// and for files that are neither; else as latest_checkpoint.
std::string run_checkpoint(const std::string& run);

// What averaged weights are taken from: the best checkpoint (best_checkpoint.h) of a run directory that has one, where
// `best`, and else run_checkpoint.
std::string averaged_checkpoint(const std::string& run, bool best);

}  // namespace echodiff
