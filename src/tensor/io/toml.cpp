#include "tensor/io/toml.h"

#include <algorithm>
#include <sstream>

#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/io/toml_parse.h"

namespace echodiff {
namespace {

constexpr size_t kLargest = 1 << 20;  // bytes
constexpr int kMostDots = 1000;       // in a line: toml++ goes as deep as a dotted key is long, until the stack ends

std::string value_text(const toml::node& node) {
  std::ostringstream text;
  text.precision(17);
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) text << (&element == &*array->begin() ? "" : ",") << value_text(element);
  } else if (const toml::value<std::string>* string = node.as_string()) {
    text << string->get();
  } else if (const toml::value<int64_t>* integer = node.as_integer()) {
    text << integer->get();
  } else if (const toml::value<double>* real = node.as_floating_point()) {
    text << real->get();
  } else if (const toml::value<bool>* boolean = node.as_boolean()) {
    text << (boolean->get() ? "true" : "false");
  } else {
    text << toml::node_view<const toml::node>(node);  // dates, tables inside arrays: as TOML writes them
  }
  return text.str();
}

void flatten(const toml::table& table, const std::string& prefix, std::map<std::string, std::string>& flat) {
  for (const auto& [name, node] : table) {
    const std::string key = prefix + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, key + ".", flat);
    } else {
      flat[key] = value_text(node);
    }
  }
}

}  // namespace

std::string toml_string(const std::string& text) {
  check(is_utf8(text), "toml_string: expected UTF-8, found ", in_quotes(text));
  std::ostringstream out;
  const toml::value<std::string> value(text);
  out << toml::toml_formatter(value, toml::format_flags::none);
  return out.str();
}

std::string toml_line(const std::string& key, const std::string& value) {
  const bool bare = !key.empty() && key.find_first_not_of(
                                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                        "-_") == std::string::npos;
  return (bare ? key : toml_string(key)) + " = " + value + "\n";
}

std::string toml_text_line(const std::string& key, const std::string& text) {
  return toml_line(key, toml_string(text));
}

std::string toml_array(const std::vector<std::string>& values) { return "[" + join(values, ", ") + "]"; }

toml::table parse_toml(std::string text, const std::string& path, Fault fault) {
  check_input(text.size() <= kLargest, fault, path, ": ", text.size(), " bytes, expected TOML of at most ", kLargest);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  int64_t line = 1;
  for (size_t start = 0; start < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', start), text.size());
    const std::string_view here = std::string_view(text).substr(start, end - start);
    check_input(is_utf8(here), fault, path, ":", line, ": expected text in UTF-8, found ", in_quotes(here));
    check_input(std::count(here.begin(), here.end(), '.') <= kMostDots, fault, path, ":", line, ": expected at most ",
                kMostDots, " dots, found more");
    start = end + 1;
  }
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    throw Error(fault, concat_message(path, ":", error.source().begin.line, ":", error.source().begin.column, ": ",
                                      error.description()));
  }
}

std::map<std::string, std::string> parse_flat_toml(const std::string& text, const std::string& path) {
  std::map<std::string, std::string> flat;
  flatten(parse_toml(text, path, Fault::kBadInput), "", flat);
  return flat;
}

std::map<std::string, std::string> read_flat_toml(const std::string& path) {
  return parse_flat_toml(read_file(path), path);
}

}  // namespace echodiff
