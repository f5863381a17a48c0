// Names in paths as users give them.
#pragma once

#include <string>

namespace echodiff {

// The last name: "a" of "runs/a" and of "runs/a/"; the path itself where that has none, as "." or "/".
std::string last_part(const std::string& path);

}  // namespace echodiff
