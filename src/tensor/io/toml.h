// TOML for writing, and reading it back flat. toml++ quotes and parses; it is behind a guard, since 3.3 reads beyond a
// text that is only a byte-order mark, and has more of the kind.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kernels/error.h"

namespace echodiff {

// A quoted string with everything escaped that TOML wants escaped. The text must be UTF-8: throws Error(kInternal).
std::string toml_string(const std::string& text);

// "key = value" and a line end, the key quoted where it is no bare one. `value` is TOML already: a toml_string, or a
// number.
std::string toml_line(const std::string& key, const std::string& value);
std::string toml_text_line(const std::string& key, const std::string& text);
std::string toml_array(const std::vector<std::string>& values);  // of values that are TOML already

// Every value of a TOML file as text, tables joined by dots ("made_by.version"), arrays by commas. Throws Error:
// kMissingInput when there is no such file, kBadInput (file:line:column) when it isn't TOML.
std::map<std::string, std::string> read_flat_toml(const std::string& path);
std::map<std::string, std::string> parse_flat_toml(const std::string& text, const std::string& path);

}  // namespace echodiff
