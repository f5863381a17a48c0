#include "tensor/io/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace echodiff {

using Json = nlohmann::json;

constexpr std::string_view kBegin = "# Written by echodiff, down to the line \"# end\".\n", kEnd = "# end\n";

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t start = 0; !text.empty() && start <= text.size();) {
    const size_t end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::string lowered(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = char(letter - 'A' + 'a');
  return text;
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" \t") - first + 1));
}

std::string number_text(double value) {
  char buffer[64];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::vector<int64_t> parse_integers(const std::string& text, const std::string& what) {
  std::vector<int64_t> out;
  for (const std::string& part : split(text)) {
    out.push_back(parse_number<int64_t>(part).value_or(0));
    check_input(out.back() > 0, Fault::kUsage, what, ": expected positive whole numbers like 1,2,4, found '", text,
                "'");
  }
  return out;
}

std::vector<double> parse_numbers(const std::string& text, const std::string& what) {
  std::vector<double> out;
  for (const std::string& part : split(text)) {
    const size_t first = std::min(part.find_first_not_of(' '), part.size()), last = part.find_last_not_of(' ') + 1;
    out.push_back(parse_number<double>(part.substr(first, last - first)).value_or(NAN));
    check_input(std::isfinite(out.back()), Fault::kUsage, what, ": expected numbers joined by commas, found '", text,
                "'");
  }
  return out;
}

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string in_quotes(std::string_view name) {
  constexpr size_t kLongest = 120;
  const std::string shown(name.substr(0, kLongest));
  return Json(name.size() > kLongest ? shown + "..." : shown).dump(-1, ' ', true, Json::error_handler_t::replace);
}

namespace {

// The code point that begins at `at` and its length in bytes; a length of 0 where there is none in UTF-8.
std::pair<uint32_t, size_t> code_point(std::string_view text, size_t at) {
  const uint8_t first = uint8_t(text[at]);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return {0, 0};
  uint32_t code = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    const uint8_t next = uint8_t(text[at + i]);
    if ((next & 0xC0) != 0x80) return {0, 0};
    code = code << 6 | (next & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool valid = code >= kLeast[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
  return valid ? std::pair{code, length} : std::pair{0u, size_t(0)};
}

bool is_shown(uint32_t code) {
  const bool control = code < 0x20 || (code >= 0x7F && code < 0xA0);
  const bool turns = code == 0x61C || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
                     (code >= 0x2066 && code <= 0x2069);  // and the line and paragraph separators
  return !control && !turns && code != 0xFEFF;
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (size_t at = 0, length; at < text.size(); at += length)
    if (length = code_point(text, at).second; length == 0) return false;
  return true;
}

std::string printable(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto [code, length] = code_point(text, at);
    char escaped[16];
    if (length > 0 && is_shown(code)) {
      out += text.substr(at, length);
    } else if (length > 0 && (code == '\n' || code == '\t' || code == '\r')) {
      out += code == '\n' ? "\\n" : code == '\t' ? "\\t" : "\\r";
    } else {
      std::snprintf(escaped, sizeof escaped, length > 1 ? "\\u%04x" : "\\x%02x", length > 0 ? code : uint8_t(text[at]));
      out += escaped;
    }
    at += std::max<size_t>(length, 1);
  }
  return out;
}

void check_name(std::string_view name, Fault fault, const std::string& where, const std::string& what) {
  const bool plain = !name.empty() && printable(name) == name && name.find_first_of(",=") == std::string_view::npos;
  check_input(plain, fault, where, ": ", what, " ", in_quotes(name),
              ": expected a name in UTF-8 without commas, equals signs, line ends and other control characters");
}

std::string with_end_marked(const std::string& toml) {
  return std::string(kBegin) + toml + (toml.ends_with('\n') ? "" : "\n") + std::string(kEnd);
}

void require_whole(std::string_view toml, const std::string& path, Fault fault) {
  const bool cut = !toml.empty() && (toml.starts_with(kBegin) ? !toml.ends_with(kEnd) : kBegin.starts_with(toml));
  check_input(!cut, fault, path, ": expected \"# end\" in its last line, found none: the file was cut after ",
              toml.size(), " bytes; restore it, or add that line if it is whole");
}

std::string base64(const std::string& bytes) {
  constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? uint8_t(bytes[i + j]) : 0u);
    for (size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace echodiff
