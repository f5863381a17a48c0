#include "tensor/io/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Json = nlohmann::json;
using Kind = JsonNode::Kind;

constexpr size_t kDeepest = 32;
constexpr const char* kAdvice = "; restore the file or run the program that wrote it again";

// SAX events to nodes. Each throws at the first thing that is not allowed.
class Builder {
 public:
  Builder(std::string_view text, const std::string& where) : text_(text) { root.where = where; }

  JsonNode root;

  bool null() { return scalar(Kind::kNull, 0, ""); }
  bool boolean(bool value) { return scalar(Kind::kBool, value, ""); }
  bool number_integer(int64_t value) { return scalar(Kind::kNumber, double(value), std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return scalar(Kind::kNumber, double(value), std::to_string(value)); }
  bool number_float(double value, const std::string& written) { return scalar(Kind::kNumber, value, written); }
  bool string(std::string& value) { return scalar(Kind::kText, 0, std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // not in JSON text
  bool start_object(size_t) { return open(Kind::kObject); }
  bool start_array(size_t) { return open(Kind::kList); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }
  bool key(std::string& key) {
    check_input(open_.back().keys.insert(key).second, Fault::kBadInput, open_.back().node->where, ": key ",
                in_quotes(key), " occurs twice");
    open_.back().node->fields.emplace_back(key, JsonNode());
    return true;
  }
  bool parse_error(size_t byte, const std::string&, const Json::exception& error) {
    std::string place = root.where, why = error.what();
    if (text_.find('\n') != std::string_view::npos) {
      const std::string_view before = text_.substr(0, std::max<size_t>(byte, 1) - 1);
      place += ":" + std::to_string(1 + std::count(before.begin(), before.end(), '\n'));
    }
    for (char& c : why) c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    why = why.substr(std::min(why.size(), why.find(']') + 2), 160);
    throw Error(Fault::kBadInput,
                place + ": expected a JSON object, found what is not valid JSON (" + why + ")" + kAdvice);
  }

 private:
  struct Open {
    JsonNode* node;
    std::unordered_set<std::string> keys;
  };

  JsonNode& next() {
    if (open_.empty()) return root;
    JsonNode& parent = *open_.back().node;
    JsonNode& node = parent.kind == Kind::kObject ? parent.fields.back().second : parent.list.emplace_back();
    node.where = parent.where;
    return node;
  }
  bool scalar(Kind kind, double value, std::string text) {
    JsonNode& node = next();
    node.kind = kind;
    node.value = value;
    node.string = std::move(text);
    return true;
  }
  bool open(Kind kind) {
    check_input(open_.size() < kDeepest, Fault::kBadInput, root.where, ": expected at most ", kDeepest,
                " levels of nesting, found more");
    JsonNode& node = next();
    node.kind = kind;
    if (!open_.empty()) {
      const JsonNode& parent = *open_.back().node;
      const std::string key = parent.kind == Kind::kObject ? in_quotes(parent.fields.back().first) : "";
      node.where += parent.kind == Kind::kObject ? ": " + key.substr(1, key.size() - 2)
                                                 : "[" + std::to_string(parent.list.size() - 1) + "]";
    }
    open_.push_back({&node, {}});  // the parent grows no further until this one is closed
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  std::vector<Open> open_;
};

// How a message shows what was found.
std::string shown(const JsonNode* node) {
  if (node == nullptr) return "none";
  if (node->kind == Kind::kBool) return node->value != 0 ? "true" : "false";
  if (node->kind == Kind::kNumber) return node->string;
  return node->kind == Kind::kText ? in_quotes(node->string) : node->kind_name();
}

// 3, and 3.0 or 3e2 too.
std::optional<int64_t> whole(const JsonNode& node) {
  if (node.kind != Kind::kNumber) return std::nullopt;
  if (const std::optional<int64_t> exact = parse_number<int64_t>(node.string)) return exact;
  if (std::floor(node.value) != node.value || std::fabs(node.value) >= 0x1p53) return std::nullopt;
  return int64_t(node.value);
}

}  // namespace

bool JsonNode::has(const std::string& key) const {
  return std::any_of(fields.begin(), fields.end(), [&](const auto& field) { return field.first == key; });
}

const JsonNode* JsonNode::find(const std::string& key) const {
  for (const auto& [name, node] : fields) {
    if (name != key) continue;
    node.asked_for_ = true;
    return node.kind == Kind::kNull ? nullptr : &node;
  }
  return nullptr;
}

void JsonNode::refuse(const std::string& key, const std::string& expected) const {
  throw Error(Fault::kBadInput,
              where + ": key " + in_quotes(key) + ": expected " + expected + ", found " + shown(find(key)) + kAdvice);
}

const JsonNode* JsonNode::of_kind(const std::string& key, Kind kind, const char* expected, bool required) const {
  const JsonNode* node = find(key);
  if (node == nullptr ? required : node->kind != kind) refuse(key, expected);
  return node;
}

double JsonNode::number(const std::string& key, std::optional<double> fallback) const {
  const JsonNode* node = of_kind(key, Kind::kNumber, "a number", !fallback);
  return node == nullptr ? *fallback : node->value;
}

int64_t JsonNode::integer(const std::string& key, std::optional<int64_t> fallback) const {
  const JsonNode* node = of_kind(key, Kind::kNumber, "a whole number", !fallback);
  if (node == nullptr) return *fallback;
  if (!whole(*node)) refuse(key, "a whole number");
  return *whole(*node);
}

int64_t JsonNode::count(const std::string& key, std::optional<int64_t> fallback) const {
  const JsonNode* node = of_kind(key, Kind::kNumber, "a whole number from 0 on", !fallback);
  if (node == nullptr) return *fallback;
  if (whole(*node).value_or(-1) < 0) refuse(key, "a whole number from 0 on");
  return *whole(*node);
}

uint64_t JsonNode::seed(const std::string& key) const {
  const JsonNode* node = of_kind(key, Kind::kNumber, "a whole number from 0 on", true);
  const std::optional<uint64_t> value = parse_number<uint64_t>(node->string);
  if (!value) refuse(key, "a whole number from 0 to 2^64 - 1");
  return *value;
}

bool JsonNode::flag(const std::string& key, std::optional<bool> fallback) const {
  const JsonNode* node = of_kind(key, Kind::kBool, "true or false", !fallback);
  return node == nullptr ? *fallback : node->value != 0;
}

std::string JsonNode::text(const std::string& key, const std::optional<std::string>& fallback) const {
  const JsonNode* node = of_kind(key, Kind::kText, "text", !fallback);
  return node == nullptr ? *fallback : node->string;
}

std::string JsonNode::choice(const std::string& key, const std::vector<std::string>& choices,
                             const std::optional<std::string>& fallback) const {
  const std::string found = text(key, fallback);
  check_input(std::find(choices.begin(), choices.end(), found) != choices.end(), Fault::kBadInput, where, ": key ",
              in_quotes(key), ": expected ", join(choices, " or "), ", found ", in_quotes(found));
  return found;
}

const JsonNode& JsonNode::object(const std::string& key) const {
  return *of_kind(key, Kind::kObject, "an object", true);
}

const std::vector<JsonNode>& JsonNode::objects(const std::string& key) const {
  const std::vector<JsonNode>& nodes = of_kind(key, Kind::kList, "an array of objects", true)->list;
  for (const JsonNode& node : nodes)
    if (node.kind != Kind::kObject) refuse(key, "an array of objects");
  return nodes;
}

const std::vector<JsonNode>& JsonNode::items(const std::string& key) const {
  static const std::vector<JsonNode> kEmpty;
  const JsonNode* node = of_kind(key, Kind::kList, "an array", false);
  return node == nullptr ? kEmpty : node->list;
}

std::vector<std::string> JsonNode::texts(const std::string& key) const {
  std::vector<std::string> out;
  for (const JsonNode& node : items(key)) {
    if (node.kind != Kind::kText) refuse(key, "an array of texts");
    out.push_back(node.string);
  }
  return out;
}

std::vector<int64_t> JsonNode::integers(const std::string& key) const {
  std::vector<int64_t> out;
  for (const JsonNode& node : items(key)) {
    if (!whole(node)) refuse(key, "an array of whole numbers");
    out.push_back(*whole(node));
  }
  return out;
}

const char* JsonNode::kind_name() const {
  constexpr const char* kNames[] = {"null", "true or false", "a number", "text", "an array", "an object"};
  return kNames[size_t(kind)];
}

double JsonNode::as_number(const std::string& what) const {
  check_input(kind == Kind::kNumber, Fault::kBadInput, where, ": ", what, ": expected a number, found ", shown(this),
              kAdvice);
  return value;
}

void JsonNode::done() const {
  std::vector<std::string> unknown;
  for (const auto& [key, node] : fields)
    if (!node.asked_for_) unknown.push_back(key);
  check_input(unknown.empty(), Fault::kBadInput, where, ": unknown keys: ", join(unknown, ", "));
}

JsonNode parse_json(std::string_view text, const std::string& where) {
  // To the library's lexer a NUL is the end of the text, whatever follows.
  check_input(text.find('\0') == std::string_view::npos, Fault::kBadInput, where, ": byte ", text.find('\0'),
              ": expected a JSON object, found a NUL byte", kAdvice);
  Builder builder(text, where);
  Json::sax_parse(text.begin(), text.end(), &builder);
  check_input(builder.root.kind == Kind::kObject, Fault::kBadInput, where, ": expected a JSON object, found ",
              shown(&builder.root), kAdvice);
  return std::move(builder.root);
}

std::optional<JsonNode> try_parse_json(std::string_view text, const std::string& where) {
  try {
    return parse_json(text, where);
  } catch (const Error&) {
    return std::nullopt;
  }
}

JsonNode read_json(const std::string& path) { return parse_json(read_file(path), path); }

std::vector<JsonNode> read_json_lines(const std::string& path, bool may_be_growing) {
  const std::string text = read_file(path);
  std::vector<JsonNode> lines;
  for (size_t start = 0; start < text.size();) {
    const size_t end = text.find('\n', start);
    if (end == std::string::npos && may_be_growing) break;
    lines.push_back(
        parse_json(std::string_view(text).substr(start, end - start), concat_message(path, ":", lines.size() + 1)));
    if (end == std::string::npos) break;
    start = end + 1;
  }
  return lines;
}

std::string json_quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_number(double value) { return Json(value).dump(); }

}  // namespace echodiff
