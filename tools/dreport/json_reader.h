// Reading the JSON that runs leave behind: a value that knows where it stands, so that every complaint names file and
// line and the key.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace echodiff {

// Every getter throws Error(kBadInput), "FILE:LINE: key ...", when the key is missing (unless a fallback is given) or
// its value is of another kind.
class JsonNode {
 public:
  enum class Kind { kNull, kBool, kNumber, kText, kList, kObject };

  Kind kind = Kind::kNull;
  double value = 0;                                      // kNumber, kBool (0 or 1)
  std::string string;                                    // kText
  std::vector<JsonNode> list;                            // kList
  std::vector<std::pair<std::string, JsonNode>> fields;  // kObject, in the file's order
  std::string where;                                     // "FILE:LINE" or "FILE"

  const JsonNode* find(const std::string& key) const;  // null when absent or JSON null
  double number(const std::string& key) const;
  double number(const std::string& key, double fallback) const;
  int64_t count(const std::string& key) const;  // a whole number >= 0
  int64_t count(const std::string& key, int64_t fallback) const;
  std::string text(const std::string& key) const;
  std::string text(const std::string& key, const std::string& fallback) const;
  const std::vector<JsonNode>& items(const std::string& key) const;  // a list; empty when absent

  // This value itself as a number; `what` names it in the message.
  double as_number(const std::string& what) const;
};

// One object in a file. Throws Error: kMissingInput, kBadInput.
JsonNode read_json(const std::string& path);

// One object a line. With `may_be_growing`, a last line without its end is one that is being written, and left out.
std::vector<JsonNode> read_json_lines(const std::string& path, bool may_be_growing);

}  // namespace echodiff
