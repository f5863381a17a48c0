// Text from users and files: lists, numbers, and names in messages.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/error.h"

namespace echodiff {

// "a,b" <-> {a, b}; "" is the empty list.
std::vector<std::string> split(std::string_view text, char separator = ',');
template <class T> std::string join(const std::vector<T>& values, const std::string& separator = ",") {
  std::ostringstream out;
  for (size_t i = 0; i < values.size(); ++i) out << (i ? separator : "") << values[i];
  return out.str();
}

// In ASCII: with small letters for capitals; without blanks and tabs at both ends.
std::string lowered(std::string text);
std::string trimmed(std::string_view text);

// The number that `text` is from its first letter to its last, or nothing.
template <class T> std::optional<T> parse_number(std::string_view text) {
  T value{};
  const std::from_chars_result end = std::from_chars(text.data(), text.data() + text.size(), value);
  return end.ec == std::errc() && end.ptr == text.data() + text.size() ? std::optional<T>(value) : std::nullopt;
}

// The fewest digits that read back as the same value.
std::string number_text(double value);

// Numbers joined by commas; "" is the empty list. Throw Error(kUsage), naming `what`, unless all are positive integers,
// or finite numbers (which may have blanks around them).
std::vector<int64_t> parse_integers(const std::string& text, const std::string& what);
std::vector<double> parse_numbers(const std::string& text, const std::string& what);

// For "did you mean": how many insertions, removals and replacements of one letter lead from a to b (Levenshtein 1966).
size_t edit_distance(const std::string& a, const std::string& b);

// "name", escaped as in JSON and cut to 120 bytes: one line whatever it holds.
std::string in_quotes(std::string_view name);

bool is_utf8(std::string_view text);

// The text as one line that a terminal only shows: control characters, marks that turn the direction of writing, and
// bytes that are not UTF-8 are written as \\n, \\t, \\x1b or \\u202e. Every message and listing goes through here.
std::string printable(std::string_view text);

// Refuses what cannot be a name in lists, files and pages: empty, not UTF-8, with a comma, an equals sign or anything
// that `printable` escapes. Throws Error(fault): "where: what ...".
void check_name(std::string_view name, Fault fault, const std::string& where, const std::string& what);
// TOML of ours begins and ends with a comment, so that one that was cut short, at whatever byte, is noticed.
std::string with_end_marked(const std::string& toml);
// Throws Error(fault) where the text begins with that mark and doesn't end with the other; anyone else's TOML passes.
void require_whole(std::string_view toml, const std::string& path, Fault fault);

// Bytes as text, for pictures inside an HTML page: RFC 4648, with padding.
std::string base64(const std::string& bytes);

}  // namespace echodiff
