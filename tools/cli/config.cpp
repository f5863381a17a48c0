// --config and --print-config: TOML in and out. toml++ refuses malformed text and duplicate keys with line and column;
// unknown keys, wrong types and values out of range are refused here.
#include <toml++/toml.h>

#include <filesystem>
#include <sstream>

#include "cli/internal.h"
#include "tensor/io/text.h"

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

std::string expected_type(Option::Kind kind) {
  switch (kind) {
    case Option::Kind::kInteger: return "an integer";
    case Option::Kind::kReal: return "a number";
    case Option::Kind::kText: return "a string";
    case Option::Kind::kFlag: return "true or false";
    case Option::Kind::kTexts: return "an array of strings";
    case Option::Kind::kReals: return "an array of numbers";
  }
  return "";
}

std::string text_of(const toml::node& node) {
  return node.is_integer() ? std::to_string(node.as_integer()->get()) : number_text(node.as_floating_point()->get());
}

// The text a command line would hold for this value; nothing when the type doesn't fit the option.
std::optional<std::vector<std::string>> raw_value(const toml::node& node, Option::Kind kind) {
  switch (kind) {
    case Option::Kind::kInteger:
      if (node.is_integer()) return {{text_of(node)}};
      break;
    case Option::Kind::kReal:
      if (node.is_number()) return {{text_of(node)}};
      break;
    case Option::Kind::kText:
      if (node.is_string()) return {{node.as_string()->get()}};
      if (const toml::array* array = node.as_array(); array && array->size() == 1 && array->get(0)->is_string())
        return {{array->get(0)->as_string()->get()}};
      break;
    case Option::Kind::kFlag:
      if (node.is_boolean()) return {{node.as_boolean()->get() ? "true" : "false"}};
      break;
    case Option::Kind::kTexts:
    case Option::Kind::kReals:
      if (const toml::array* array = node.as_array(); array && !array->empty()) {
        std::vector<std::string> raw;
        for (const toml::node& element : *array) {
          const bool text = kind == Option::Kind::kTexts;
          if (text ? !element.is_string() : !element.is_number()) return std::nullopt;
          raw.push_back(text ? element.as_string()->get() : text_of(element));
        }
        return raw;
      }
      if (node.is_string()) return {{node.as_string()->get()}};
      break;
  }
  return std::nullopt;
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
  check_input(raw.has_value(), Fault::kUsage, where, key, ": expected ", expected_type(option->kind), " (",
              option->range, "), found ", type_name(node));
  try {
    option->assign(*raw);
  } catch (const Error& error) {
    throw Error(Fault::kUsage, concat_message(where, key, ": ", error.what()));
  }
  option->is_given = true;
}

}  // namespace

void apply_config(const std::string& path, const Options& root, const Options& common, const Options* chosen) {
  std::error_code code;
  check_input(std::filesystem::exists(path, code), Fault::kUsage, path, ": no such file (--config)");
  check_input(!std::filesystem::is_directory(path, code), Fault::kUsage, path,
              ": is a folder, expected a TOML file (--config)");
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    throw Error(Fault::kUsage, place(path, error.source()) + std::string(error.description()));
  }
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

std::string toml_string(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      const char* digits = "0123456789abcdef";
      quoted += "\\u00";
      quoted += digits[(c >> 4) & 15];
      quoted += digits[c & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string toml_lines(const Options& options) {
  std::string text;
  for (const std::unique_ptr<Option>& option : options.options()) {
    const std::string value = option->toml();
    if (value.empty()) {
      text += "# " + option->key() + ": " + (option->is_required ? "required" : option->initial) + "\n";
    } else {
      text += option->key() + " = " + value + "\n";
    }
  }
  return text;
}

}  // namespace echodiff::cli
