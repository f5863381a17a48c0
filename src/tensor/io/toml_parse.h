// The one door to toml++'s parser. Its header takes long to compile: include this where a table is walked.
#pragma once

#include <toml++/toml.h>

#include <string>

#include "kernels/error.h"

namespace echodiff {

// Throws Error(fault), "path:line:column: why", for what is not TOML, is not UTF-8, or is larger than 1 MiB.
toml::table parse_toml(std::string text, const std::string& path, Fault fault);

}  // namespace echodiff
