#include "dreport/page/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>

namespace echodiff {

std::string json_string(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

void JsonWriter::start_value(std::string_view key) {
  if (!first_) out_ += ',';
  first_ = false;
  out_ += '\n';
  out_.append(2 * brackets_.size(), ' ');
  if (!key.empty()) out_ += json_string(key) + ": ";
}

JsonWriter& JsonWriter::open(char bracket) {
  out_ += bracket;
  brackets_.push_back(bracket);
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  brackets_.pop_back();
  if (!first_) {
    out_ += '\n';
    out_.append(2 * brackets_.size(), ' ');
  }
  out_ += bracket;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::begin_object(std::string_view key) {
  start_value(key);
  return open('{');
}

JsonWriter& JsonWriter::begin_array(std::string_view key) {
  start_value(key);
  return open('[');
}

JsonWriter& JsonWriter::number(std::string_view key, double value) {
  start_value(key);
  if (!std::isfinite(value)) {
    out_ += "null";
    return *this;
  }
  std::array<char, 32> digits;
  const std::to_chars_result result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  out_.append(digits.data(), result.ptr);
  return *this;
}

JsonWriter& JsonWriter::count(std::string_view key, int64_t value) {
  start_value(key);
  out_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view key, std::string_view value) {
  start_value(key);
  out_ += json_string(value);
  return *this;
}

JsonWriter& JsonWriter::flag(std::string_view key, bool value) {
  start_value(key);
  out_ += value ? "true" : "false";
  return *this;
}

std::string JsonWriter::finish() {
  while (!brackets_.empty()) close(brackets_.back() == '{' ? '}' : ']');
  return out_ + '\n';
}

}  // namespace echodiff
