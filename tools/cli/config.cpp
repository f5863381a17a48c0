// --config and --print-config: TOML in and out. toml++ refuses malformed text and duplicate keys with line and column;
// unknown keys, wrong types and values out of range are refused here.
#include <algorithm>
#include <sstream>

#include "cli/internal.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/io/toml_parse.h"

namespace echodiff::cli {
namespace {

// Tables a run's config.toml holds for its reader: facts, not options.
bool is_facts_table(const std::string& key) { return key == "made_by" || key == "resolved"; }

std::string place(const std::string& path, const toml::source_region& source) {
  return concat_message(path, ":", source.begin.line, ":", source.begin.column, ": ");
}

std::string type_name(const toml::node& node) {
  std::ostringstream name;
  name << node.type();
  return name.str();
}

constexpr const char* kExpected[] = {"an integer",          "a number",           "a string", "true or false",
                                     "an array of strings", "an array of numbers"};  // by Option::Kind

// The text a command line would hold for one value; nothing when its type doesn't fit the option.
std::optional<std::string> text_of(const toml::node& node, Option::Kind kind) {
  if (kind == Option::Kind::kText || kind == Option::Kind::kTexts) return node.value_exact<std::string>();
  if (node.is_boolean() && kind == Option::Kind::kFlag) return node.as_boolean()->get() ? "true" : "false";
  if (kind == Option::Kind::kFlag) return std::nullopt;
  if (node.is_integer()) return std::to_string(node.as_integer()->get());
  if (node.is_floating_point() && kind != Option::Kind::kInteger) return number_text(node.as_floating_point()->get());
  return std::nullopt;
}

// The same for all an option takes. Numbers joined by commas are a string too, as on the command line; a text may stand
// in an array by itself.
std::optional<std::vector<std::string>> raw_value(const toml::node& node, Option::Kind kind) {
  const bool several = kind == Option::Kind::kTexts || kind == Option::Kind::kReals;
  if (several && node.is_string()) return {{node.as_string()->get()}};
  std::vector<std::string> raw;
  const auto add = [&](const toml::node& element) {
    const std::optional<std::string> text = text_of(element, kind);
    if (text) raw.push_back(*text);
    return text.has_value();
  };
  const toml::array* array = node.as_array();
  const bool fits = several ? array && !array->empty() : !array || (kind == Option::Kind::kText && array->size() == 1);
  if (!fits || !(array ? std::all_of(array->begin(), array->end(), add) : add(node))) return std::nullopt;
  return raw;
}

Option* find_option(const std::string& key, const Options& common, const Options* chosen) {
  for (const Options* options : {&common, chosen}) {
    if (!options) continue;
    for (const std::unique_ptr<Option>& option : options->options())
      if (option->key() == key) return option.get();
  }
  return nullptr;
}

// May a key at the top stand there for the root or a subcommand that was not chosen, or for an older version?
bool is_for_another(const std::string& key, const Options& root) {
  if (!root.has_body()) return false;
  bool known = root.ignores_key(key) || find_option(key, root, nullptr);
  for (const std::unique_ptr<Options>& sub : root.subcommands()) known = known || find_option(key, *sub, nullptr);
  return known;
}

std::vector<std::string> known_keys(const Options& common, const Options* chosen) {
  std::vector<std::string> keys;
  for (const Options* options : {&common, chosen}) {
    if (!options) continue;
    for (const std::unique_ptr<Option>& option : options->options()) keys.push_back(option->key());
  }
  return keys;
}

void apply_value(const std::string& path, const std::string& key, const toml::node& node, const Options& common,
                 const Options* chosen, bool assign) {
  Option* option = find_option(key, common, chosen);
  const std::string where = place(path, node.source());
  check_input(option != nullptr, Fault::kUsage, where, "unknown key '", key, "'",
              did_you_mean(key, known_keys(common, chosen)));
  if (!assign) return;
  const std::optional<std::vector<std::string>> raw = raw_value(node, option->kind);
  check_input(raw.has_value(), Fault::kUsage, where, key, ": expected ", kExpected[size_t(option->kind)], " (",
              option->range, "), found ", type_name(node));
  try {
    option->assign(*raw);
  } catch (const Error& error) {
    throw Error(Fault::kUsage, concat_message(where, key, ": ", error.what()));
  }
  option->is_given = true;
}

std::string read_config(const std::string& path) {
  try {
    return read_file(path);
  } catch (const Error& error) {
    if (error.fault() != Fault::kMissingInput) throw;
    throw Error(Fault::kUsage, std::string(error.what()) + " (--config)");
  }
}

}  // namespace

void apply_config(const std::string& path, const Options& root, const Options& common, const Options* chosen) {
  const std::string text = read_config(path);
  require_whole(text, path, Fault::kUsage);
  const toml::table file = parse_toml(text, path, Fault::kUsage);
  // Keys at the top first: those in the subcommand's own table win.
  for (const auto& [name, node] : file) {
    const std::string key(name.str());
    if (node.is_table() || (!find_option(key, common, chosen) && is_for_another(key, root))) continue;
    apply_value(path, key, node, common, chosen, true);
  }
  for (const auto& [name, node] : file) {
    const std::string key(name.str());
    if (!node.is_table() || is_facts_table(key)) continue;
    const Options* sub = nullptr;
    std::vector<std::string> names;
    for (const std::unique_ptr<Options>& candidate : root.subcommands()) {
      names.push_back(candidate->info().name);
      if (candidate->info().name == key) sub = candidate.get();
    }
    check_input(sub != nullptr, Fault::kUsage, place(path, node.source()), "unknown table [", key, "]",
                did_you_mean(key, names));
    for (const auto& [inner, value] : *node.as_table())
      apply_value(path, std::string(inner.str()), value, common, sub, sub == chosen);
  }
}

std::string toml_lines(const Options& options) {
  std::string text;
  for (const std::unique_ptr<Option>& option : options.options()) {
    const std::string value = option->toml();
    if (value.empty()) {
      text += "# " + option->key() + ": " + (option->is_required ? "required" : option->initial) + "\n";
    } else {
      text += toml_line(option->key(), value);
    }
  }
  return text;
}

}  // namespace echodiff::cli
