// What is given where a run is wanted, and is none: weights of other programs, which have to be imported first.
#pragma once

#include <string>

namespace echodiff {

// A checkpoint that the programs here wrote, or one that was and is damaged now.
bool is_own_checkpoint(const std::string& path);
// A network or pipeline that diffusers saved.
bool is_foreign_folder(const std::string& path);

// Throws Error(kBadInput) with the line to run: the network is told by its names. What can't be read at all is said to
// be so.
[[noreturn]] void refuse_foreign_weights(const std::string& path);

}  // namespace echodiff
