// Reading back a run's config.toml.
#pragma once

#include <map>
#include <string>

namespace echodiff {

// Every value of a TOML file as text, tables joined by dots ("made_by.version"), arrays by commas. Throws Error:
// kMissingInput when there is no such file, kBadInput (file:line:column) when it isn't TOML.
std::map<std::string, std::string> read_flat_toml(const std::string& path);

}  // namespace echodiff
