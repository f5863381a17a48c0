// Strict reading of JSON: a value that knows where it stands, so that every complaint names file and line, the key,
// what was expected and what was found. Malformed text, a key that is there twice, a number that is not finite, and
// nesting too deep are refused. nlohmann's library does the lexing; it keeps the last of repeated keys silently.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace echodiff {

// Every getter throws Error(kBadInput), "FILE:LINE: key ...", when the key is missing (unless a fallback is given) or
// its value is of another kind. JSON null counts as missing.
class JsonNode {
 public:
  enum class Kind { kNull, kBool, kNumber, kText, kList, kObject };

  Kind kind = Kind::kNull;
  double value = 0;                                      // kNumber: finite; kBool: 0 or 1
  std::string string;                                    // kText; kNumber as it is written
  std::vector<JsonNode> list;                            // kList
  std::vector<std::pair<std::string, JsonNode>> fields;  // kObject, in the file's order
  std::string where;                                     // "FILE" or "FILE:LINE", deeper "FILE:LINE: looks[2]"

  bool has(const std::string& key) const;              // even as null
  const JsonNode* find(const std::string& key) const;  // null when absent or JSON null
  double number(const std::string& key, std::optional<double> fallback = {}) const;
  int64_t integer(const std::string& key, std::optional<int64_t> fallback = {}) const;
  int64_t count(const std::string& key, std::optional<int64_t> fallback = {}) const;  // a whole number >= 0
  uint64_t seed(const std::string& key) const;                                        // 0 to 2^64 - 1
  bool flag(const std::string& key, std::optional<bool> fallback = {}) const;
  std::string text(const std::string& key, const std::optional<std::string>& fallback = {}) const;
  std::string choice(const std::string& key, const std::vector<std::string>& choices,
                     const std::optional<std::string>& fallback = {}) const;
  const JsonNode& object(const std::string& key) const;
  const std::vector<JsonNode>& objects(const std::string& key) const;  // a list of objects
  const std::vector<JsonNode>& items(const std::string& key) const;    // a list; empty when absent
  std::vector<std::string> texts(const std::string& key) const;        // the same, of one kind
  std::vector<int64_t> integers(const std::string& key) const;

  const char* kind_name() const;  // "a number"
  // This value itself as a number; `what` names it in the message.
  double as_number(const std::string& what) const;

  // Throws when this object has a key that nobody asked for: a typo would otherwise pass silently.
  void done() const;
  // Throws the error that `key` should be `expected`, and is what it is.
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;

 private:
  const JsonNode* of_kind(const std::string& key, Kind kind, const char* expected, bool required) const;

  mutable bool asked_for_ = false;
};

// One object; `where` is "FILE" or "FILE:LINE". Throws Error(kBadInput).
JsonNode parse_json(std::string_view text, const std::string& where);
// Nothing where parse_json throws: for logs, whose last line a crash may have cut.
std::optional<JsonNode> try_parse_json(std::string_view text, const std::string& where);

// One object in a file. Throws Error: kMissingInput, kBadInput.
JsonNode read_json(const std::string& path);

// One object a line. With `may_be_growing`, a last line without its end is one that is being written, and left out.
std::vector<JsonNode> read_json_lines(const std::string& path, bool may_be_growing);

// For writing: text in quotes, what is not UTF-8 as U+FFFD; a number as the JSON library writes it.
std::string json_quoted(const std::string& text);
std::string json_number(double value);

}  // namespace echodiff
