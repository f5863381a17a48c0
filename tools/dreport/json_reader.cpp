#include "dreport/json_reader.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace echodiff {
namespace {

constexpr int64_t kDeepest = 32;

std::string kind_text(JsonNode::Kind kind) {
  switch (kind) {
    case JsonNode::Kind::kNull:
      return "null";
    case JsonNode::Kind::kBool:
      return "true or false";
    case JsonNode::Kind::kNumber:
      return "a number";
    case JsonNode::Kind::kText:
      return "text";
    case JsonNode::Kind::kList:
      return "a list";
    case JsonNode::Kind::kObject:
      return "an object";
  }
  return "nothing";
}

JsonNode convert(const nlohmann::ordered_json& json, const std::string& where, int64_t depth) {
  check_input(depth < kDeepest, Fault::kBadInput, where, ": expected at most ", kDeepest,
              " levels of nesting, found more; the file isn't what dreport reads");
  JsonNode node;
  node.where = where;
  if (json.is_object()) {
    node.kind = JsonNode::Kind::kObject;
    for (const auto& [key, value] : json.items()) node.fields.emplace_back(key, convert(value, where, depth + 1));
  } else if (json.is_array()) {
    node.kind = JsonNode::Kind::kList;
    for (const nlohmann::ordered_json& value : json) node.list.push_back(convert(value, where, depth + 1));
  } else if (json.is_string()) {
    node.kind = JsonNode::Kind::kText;
    node.string = json.get<std::string>();
  } else if (json.is_number()) {
    node.kind = JsonNode::Kind::kNumber;
    node.value = json.get<double>();
  } else if (json.is_boolean()) {
    node.kind = JsonNode::Kind::kBool;
    node.value = json.get<bool>() ? 1 : 0;
  }
  return node;
}

JsonNode parse(std::string_view text, const std::string& where) {
  nlohmann::ordered_json json;
  try {
    json = nlohmann::ordered_json::parse(text);
  } catch (const nlohmann::json::exception& error) {
    std::string why = error.what();
    for (char& c : why) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    throw Error(Fault::kBadInput, where + ": expected a JSON object, found damage (" + why.substr(0, 160) +
                                      "); restore the file or run the program that wrote it again");
  }
  check_input(json.is_object(), Fault::kBadInput, where, ": expected a JSON object, found ",
              kind_text(convert(json, where, 0).kind), "; restore the file or run the program that wrote it again");
  return convert(json, where, 0);
}

[[noreturn]] void refuse(const JsonNode& node, const std::string& key, const std::string& expected) {
  const JsonNode* value = node.find(key);
  throw Error(Fault::kBadInput, node.where + ": key \"" + key + "\": expected " + expected + ", found " +
                                    (value == nullptr ? "none" : kind_text(value->kind)) +
                                    "; restore the file or run the program that wrote it again");
}

}  // namespace

const JsonNode* JsonNode::find(const std::string& key) const {
  for (const auto& [name, node] : fields) {
    if (name == key) return node.kind == Kind::kNull ? nullptr : &node;
  }
  return nullptr;
}

double JsonNode::number(const std::string& key) const {
  const JsonNode* node = find(key);
  if (node == nullptr || node->kind != Kind::kNumber) refuse(*this, key, "a number");
  return node->value;
}

double JsonNode::number(const std::string& key, double fallback) const {
  return find(key) == nullptr ? fallback : number(key);
}

int64_t JsonNode::count(const std::string& key) const {
  const double value = number(key);
  check_input(value >= 0 && value < 9e15 && std::floor(value) == value, Fault::kBadInput, where, ": key \"", key,
              "\": expected a whole number from 0 on, found ", value,
              "; restore the file or run the program that wrote it again");
  return int64_t(value);
}

int64_t JsonNode::count(const std::string& key, int64_t fallback) const {
  return find(key) == nullptr ? fallback : count(key);
}

std::string JsonNode::text(const std::string& key) const {
  const JsonNode* node = find(key);
  if (node == nullptr || node->kind != Kind::kText) refuse(*this, key, "text");
  return node->string;
}

std::string JsonNode::text(const std::string& key, const std::string& fallback) const {
  return find(key) == nullptr ? fallback : text(key);
}

const std::vector<JsonNode>& JsonNode::items(const std::string& key) const {
  static const std::vector<JsonNode> kEmpty;
  const JsonNode* node = find(key);
  if (node == nullptr) return kEmpty;
  if (node->kind != Kind::kList) refuse(*this, key, "a list");
  return node->list;
}

double JsonNode::as_number(const std::string& what) const {
  check_input(kind == Kind::kNumber, Fault::kBadInput, where, ": ", what, ": expected a number, found ",
              kind_text(kind), "; restore the file or run the program that wrote it again");
  return value;
}

JsonNode read_json(const std::string& path) { return parse(read_file(path), path); }

std::vector<JsonNode> read_json_lines(const std::string& path, bool may_be_growing) {
  const std::string text = read_file(path);
  std::vector<JsonNode> lines;
  int64_t number = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    if (end == std::string::npos && may_be_growing) break;
    const std::string_view line = std::string_view(text).substr(start, end - start);
    ++number;
    lines.push_back(parse(line, path + ":" + std::to_string(number)));
    if (end == std::string::npos) break;
    start = end + 1;
  }
  return lines;
}

}  // namespace echodiff
