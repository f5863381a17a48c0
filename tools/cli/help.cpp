// --help: what most need, or every option with its default, unit and range.
#include <algorithm>

#include "cli/internal.h"

namespace echodiff::cli {
namespace {

constexpr size_t kWidth = 100;

// `text` in lines of at most kWidth characters, each indented.
std::string wrapped(const std::string& text, size_t indent) {
  std::string out, line;
  size_t start = 0;
  while (start < text.size()) {
    const size_t space = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, space - start);
    if (!line.empty() && indent + line.size() + 1 + word.size() > kWidth) {
      out += std::string(indent, ' ') + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
    start = space + 1;
  }
  return line.empty() ? out : out + std::string(indent, ' ') + line + "\n";
}

std::string placeholder(const Option& option) {
  const std::string texts[] = {" N", " X", " " + option.unit, "", " " + option.unit + "...", " X,Y"};  // by Kind
  return texts[size_t(option.kind)];
}

std::string option_text(const Option& option) {
  const std::string head = option.positional() ? option.flag : option.flag + placeholder(option);
  const std::string facts = "[default: " + (option.is_required ? "none, required" : option.initial) +
                            "; unit: " + option.unit + "; range: " + option.range + "]";
  return "  " + head + "\n" + wrapped(option.help, 6) + wrapped(facts, 6);
}

// "  --count N         pictures to draw [100]", wrapped behind the flag's column.
std::string short_text(const std::string& head, const std::string& help) {
  constexpr size_t kColumn = 24;
  std::string text = wrapped(help, kColumn);
  const size_t room = kColumn - 3;  // two blanks before, one behind
  return head.size() <= room ? "  " + head + text.substr(2 + head.size()) : "  " + head + "\n" + text;
}

// The first of what it says: where choices are explained, their names.
std::string in_short(const Option& option) {
  const size_t explained = option.help.find(" | ");
  if (explained != std::string::npos && option.range != "any") return option.range;
  return option.help.substr(0, std::min(option.help.find("; "), explained));
}

std::string short_text(const Option& option) {
  const std::string head = option.positional() ? option.flag : option.flag + placeholder(option);
  const bool says = !option.is_required && option.kind != Option::Kind::kFlag && option.initial != "none";
  return short_text(head, in_short(option) + (option.is_required ? " (required)"
                                              : says             ? " [" + option.initial + "]"
                                                                 : ""));
}

// The options that most need, and how many others there are.
std::string common_text(const Options& shown, const Options& common, const std::string& name) {
  std::string text = "\nMost used options:\n";
  size_t count = 0;
  for (const Options* options : {&shown, &common})
    for (const std::unique_ptr<Option>& option : options->options()) {
      if (option->is_common || option->is_required) text += short_text(*option);
      ++count;
    }
  return text + "\nAll " + std::to_string(count + 5) + " options, with units and ranges: " + name + " --help-all\n";
}

}  // namespace

std::string help_text(const Options& root, const Options& common, const Options* chosen, bool all) {
  const bool in_subcommand = chosen && chosen != &root;
  const Options& shown = in_subcommand ? *chosen : root;
  std::string name = root.info().name;
  if (in_subcommand) name += " " + chosen->info().name;
  const bool few = !all && shown.has_common_flags();
  std::string usage = name;
  if (!shown.subcommands().empty()) usage += shown.has_body() ? " [SUBCOMMAND]" : " SUBCOMMAND";
  for (const std::unique_ptr<Option>& option : shown.options()) {
    if (option->positional()) {
      usage += " " + option->flag;
    } else if (option->is_required) {
      usage += " " + option->flag + placeholder(*option);
    }
  }
  std::string text = name + ": " + shown.info().summary + "\n\nUsage: " + usage + " [options]\nExample:\n  " +
                     shown.info().example + "\n";
  if (!shown.subcommands().empty()) {
    text += "\nSubcommands (each has --help):\n";
    for (const std::unique_ptr<Options>& sub : shown.subcommands())
      text += few ? short_text(sub->info().name, sub->info().summary.substr(0, sub->info().summary.find(": ")))
                  : "  " + sub->info().name + "\n" + wrapped(sub->info().summary, 6);
  }
  if (few) return text + common_text(shown, common, name);
  if (!shown.options().empty()) text += "\nOptions:\n";
  for (const std::unique_ptr<Option>& option : shown.options()) text += option_text(*option);
  text += "\nOptions of every program:\n";
  for (const std::unique_ptr<Option>& option : common.options()) text += option_text(*option);
  text += "  --config FILE\n" +
          wrapped("options from a TOML file, key = flag without dashes; flags win over the file", 6) +
          "      [default: none; unit: FILE; range: any]\n";
  text += "  --print-config\n      print every option's resolved value as TOML and end\n";
  text += "  --version\n      print version and source revision and end\n";
  return text +
         "  --help, -h\n      print this, or what most need of it, and end\n  --help-all\n      print this and end\n";
}

}  // namespace echodiff::cli
