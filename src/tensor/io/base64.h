// Bytes as text, for pictures inside an HTML page: RFC 4648, with padding.
#pragma once

#include <string>

namespace echodiff {

std::string base64(const std::string& bytes);

}  // namespace echodiff
