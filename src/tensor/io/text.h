// Names from files, in messages.
#pragma once

#include <string>
#include <string_view>

namespace echodiff {

// "name", escaped as in JSON and cut to 120 bytes: one line whatever it holds.
std::string in_quotes(std::string_view name);

bool is_utf8(std::string_view text);

}  // namespace echodiff
