// For "did you mean": how many insertions, removals and replacements of one letter lead from a to b (Levenshtein 1966).
#pragma once

#include <cstddef>
#include <string>

namespace echodiff {

size_t edit_distance(const std::string& a, const std::string& b);

}  // namespace echodiff
