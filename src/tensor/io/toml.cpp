#include "tensor/io/toml.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <optional>
#include <sstream>

#include "kernels/memory_limit.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/io/toml_parse.h"

namespace echodiff {
namespace {

constexpr size_t kLargest = 1 << 20;  // bytes
constexpr int kMostDots = 1000;       // in a line: toml++ goes as deep as a dotted key is long, until the stack ends

// Where the string or comment that begins at `at` ends. A line's end ends what may not go on beyond it.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  const std::string three(3, quote);
  const bool block = text.substr(at).starts_with(three);
  at += block ? 3 : 1;
  for (; at < text.size(); ++at) {
    if (text[at] == '\n' && !block) return at;
    if (text[at] == '\\' && quote == '"') {
      ++at;
    } else if (block && text.substr(at).starts_with(three)) {
      at += 3;
      for (int more = 0; more < 2 && at < text.size() && text[at] == quote; ++more) ++at;  // of its own
      return at;
    } else if (!block && text[at] == quote) {
      return at + 1;
    }
  }
  return text.size();
}

// A letter beyond ASCII of valid UTF-8, as TOML escapes it, and its length in bytes.
std::pair<std::string, size_t> escaped_letter(std::string_view text) {
  const uint8_t first = uint8_t(text[0]);
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  uint32_t code = first & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) code = code << 6 | (uint8_t(text[i]) & 0x3F);
  char escaped[16];
  std::snprintf(escaped, sizeof escaped, code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
  return {escaped, length};
}

// A string, quotes and all, in ASCII: what lies beyond is escaped, for which '...' becomes "...". Nothing where it has
// no end, or an escape of a letter beyond ASCII, which TOML doesn't know.
std::optional<std::string> string_in_ascii(std::string_view token) {
  if (std::all_of(token.begin(), token.end(), [](char c) { return uint8_t(c) < 0x80; })) return std::string(token);
  const bool literal = token[0] == '\'';
  const size_t quotes = token.starts_with("'''") ? 3 : 1;
  if (literal && !token.substr(quotes).ends_with(token.substr(0, quotes))) return std::nullopt;
  if (literal) token = token.substr(quotes, token.size() - 2 * quotes);
  std::string out(literal ? quotes : 0, '"');
  for (size_t at = 0; at < token.size();) {
    if (uint8_t(token[at]) >= 0x80) {
      const auto [letter, length] = escaped_letter(token.substr(at));
      out += letter;
      at += length;
      continue;
    }
    if (literal && (token[at] == '\\' || token[at] == '"')) out += '\\';
    if (!literal && token[at] == '\\') {
      out += token[at++];
      if (at == token.size() || uint8_t(token[at]) >= 0x80) return std::nullopt;
    }
    out += token[at++];
  }
  return out + std::string(literal ? quotes : 0, '"');
}

// The same TOML without letters beyond ASCII: escaped in strings, dropped from comments. toml++ 3.3 asks of each
// whether it is a blank, and runs into what it holds for unreachable for some (U+00E4, U+FE38). Refuses the rest.
std::string in_ascii(std::string_view text, const std::string& path, Fault fault) {
  std::string out;
  char before = '\n';  // the last that is no blank: a quote within a number ("2'") begins no string
  for (size_t at = 0, end = 0; at < text.size(); at = end) {
    const char here = text[at];
    std::optional<std::string> ascii;
    if ((here == '"' || here == '\'') && std::string_view("\n=[{,.").find(before) != std::string_view::npos) {
      end = end_of_string(text, at);
      ascii = string_in_ascii(text.substr(at, end - at));
    } else if (here == '#') {
      end = std::min(text.find('\n', at), text.size());
      ascii = std::string(text.substr(at, end - at));
      std::erase_if(*ascii, [](char c) { return uint8_t(c) >= 0x80; });
    } else {
      end = at + 1;
      if (uint8_t(here) < 0x80) ascii = std::string(1, here);
    }
    check_input(ascii.has_value(), fault, path, ":", 1 + std::count(text.begin(), text.begin() + int64_t(at), '\n'),
                ": expected letters beyond ASCII in strings or comments only");
    out += *ascii;
    if (here != ' ' && here != '\t') before = here;
  }
  return out;
}

std::string value_text(const toml::node& node) {
  std::ostringstream text;
  if (const toml::array* array = node.as_array()) {
    for (const toml::node& element : *array) text << (&element == &*array->begin() ? "" : ",") << value_text(element);
  } else if (const toml::value<std::string>* string = node.as_string()) {
    text << string->get();
  } else if (const toml::value<int64_t>* integer = node.as_integer()) {
    text << integer->get();
  } else if (const toml::value<double>* real = node.as_floating_point()) {
    text << number_text(real->get());
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
    return toml::parse(in_ascii(text, path, fault), path);
  } catch (const toml::parse_error& error) {
    if (memory_ended()) throw std::bad_alloc();  // it reads numbers from a stream, which swallows that
    throw Error(fault, concat_message(path, ":", error.source().begin.line, ":", error.source().begin.column, ": ",
                                      error.description()));
  } catch (const TomlClaimBroken& claim) {
    throw Error(fault, concat_message(path, ": expected TOML, found a text that its parser gives up at (", claim.what(),
                                      "); look for a table's name in brackets that begins with no letter"));
  }
}

std::map<std::string, std::string> parse_flat_toml(const std::string& text, const std::string& path) {
  std::map<std::string, std::string> flat;
  flatten(parse_toml(text, path, Fault::kBadInput), "", flat);
  return flat;
}

std::map<std::string, std::string> read_flat_toml(const std::string& path) {
  const std::string text = read_file(path);
  check_input(!text.empty(), Fault::kBadInput, path, ": is empty, expected the settings of a run");
  require_whole(text, path, Fault::kBadInput);
  return parse_flat_toml(text, path);
}

}  // namespace echodiff
