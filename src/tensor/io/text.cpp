#include "tensor/io/text.h"

#include <nlohmann/json.hpp>

namespace echodiff {

using Json = nlohmann::json;

std::string in_quotes(std::string_view name) {
  constexpr size_t kLongest = 120;
  const std::string shown(name.substr(0, kLongest));
  return Json(name.size() > kLongest ? shown + "..." : shown).dump(-1, ' ', true, Json::error_handler_t::replace);
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto byte = [&](size_t k) { return i + k < text.size() ? uint8_t(text[i + k]) : uint8_t(0); };
    const uint8_t first = byte(0);
    const size_t length = first < 0x80   ? 1
                          : first < 0xC2 ? 0
                          : first < 0xE0 ? 2
                          : first < 0xF0 ? 3
                          : first < 0xF5 ? 4
                                         : 0;
    if (length == 0) return false;
    for (size_t k = 1; k < length; ++k)
      if ((byte(k) & 0xC0) != 0x80) return false;
    // Overlong forms, surrogates, and what lies beyond U+10FFFF.
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) ||
        (first == 0xF4 && byte(1) > 0x8F))
      return false;
    i += length;
  }
  return true;
}

}  // namespace echodiff
