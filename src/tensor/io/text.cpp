#include "tensor/io/text.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace echodiff {

using Json = nlohmann::json;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (size_t start = 0; !text.empty() && start <= text.size();) {
    const size_t end = std::min(text.find(separator, start), text.size());
    parts.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
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

bool is_utf8(std::string_view text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
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
