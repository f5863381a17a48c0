// Typed flags: text to value with ranges, value to TOML.
#include <algorithm>
#include <type_traits>

#include "cli/internal.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"

namespace echodiff {
namespace {

std::string range_text(IntRange range) { return concat_message(range.low, "..", range.high); }
std::string range_text(Range range) { return number_text(range.low) + ".." + number_text(range.high); }

// Within the range, and finite.
template <class T, class R> T parse_within(const std::string& text, R range) {
  const std::optional<T> value = parse_number<T>(text);
  check_input(value && *value >= range.low && *value <= range.high, Fault::kUsage, "expected ",
              std::is_integral_v<T> ? "an integer" : "a finite number", " in ", range_text(range), ", found '", text,
              "'");
  return *value;
}

const std::string& single(const std::vector<std::string>& raw) {
  check_input(raw.size() == 1, Fault::kUsage, "expected one value, found ", raw.size(), "; give it once");
  return raw[0];
}

std::string text_of(int64_t value) { return std::to_string(value); }
std::string text_of(double value) { return number_text(value); }
template <class T> std::string text_of(const std::optional<T>& value) {
  return value ? text_of(*value) : std::string();
}

// A number, or an optional one.
template <class T, class Value, class R>
Option number_option(const std::string& flag, Value& value, const std::string& help, R range, const std::string& unit,
                     const std::string& unset) {
  const std::string initial = text_of(value);
  return {.flag = flag,
          .kind = std::is_integral_v<T> ? Option::Kind::kInteger : Option::Kind::kReal,
          .help = help,
          .unit = unit,
          .range = range_text(range),
          .initial = initial.empty() ? unset : initial,
          .assign = [&value, range](const auto& raw) { value = parse_within<T>(single(raw), range); },
          .toml = [&value] { return text_of(value); }};
}

}  // namespace

Option& Options::append(Option option) {
  for (const std::unique_ptr<Option>& other : options_)
    check(other->flag != option.flag, info_.name, ": ", option.flag, " is declared twice");
  options_.push_back(std::make_unique<Option>(std::move(option)));
  return *options_.back();
}

Option& Options::add(const std::string& flag, int64_t& value, const std::string& help, IntRange range,
                     const std::string& unit) {
  return append(number_option<int64_t>(flag, value, help, range, unit, ""));
}

Option& Options::add(const std::string& flag, double& value, const std::string& help, Range range,
                     const std::string& unit) {
  return append(number_option<double>(flag, value, help, range, unit, ""));
}

Option& Options::add(const std::string& flag, std::optional<int64_t>& value, const std::string& help, IntRange range,
                     const std::string& unit, const std::string& unset) {
  return append(number_option<int64_t>(flag, value, help, range, unit, unset));
}

Option& Options::add(const std::string& flag, std::optional<double>& value, const std::string& help, Range range,
                     const std::string& unit, const std::string& unset) {
  return append(number_option<double>(flag, value, help, range, unit, unset));
}

Option& Options::add(const std::string& flag, std::string& value, const std::string& help, const std::string& what,
                     const std::string& unset) {
  return append({.flag = flag,
                 .kind = Option::Kind::kText,
                 .help = help,
                 .unit = what,
                 .range = "any",
                 .initial = value.empty() ? unset : value,
                 .assign = [&value](const auto& raw) { value = single(raw); },
                 .toml = [&value] { return value.empty() ? std::string() : toml_string(value); }});
}

Option& Options::add_flag(const std::string& flag, bool& value, const std::string& help) {
  return append({.flag = flag,
                 .kind = Option::Kind::kFlag,
                 .help = help,
                 .unit = "switch",
                 .range = "on, off",
                 .initial = value ? "on" : "off",
                 .assign =
                     [&value](const auto& raw) {
                       const std::string& text = single(raw);
                       check_input(text == "true" || text == "false", Fault::kUsage, "expected true or false, found '",
                                   text, "'");
                       value = text == "true";
                     },
                 .toml = [&value] { return std::string(value ? "true" : "false"); }});
}

Option& Options::add_choice(const std::string& flag, std::string& value, const std::string& help,
                            std::vector<std::string> choices, const std::string& unset) {
  Option& option = add(flag, value, help, "NAME", unset);
  option.range = join(choices, ", ");
  option.assign = [&value, choices, all = option.range](const auto& raw) {
    const std::string& text = single(raw);
    check_input(std::find(choices.begin(), choices.end(), text) != choices.end(), Fault::kUsage, "expected one of ",
                all, ", found '", text, "'", cli::did_you_mean(text, choices));
    value = text;
  };
  return option;
}

Option& Options::add_list(const std::string& flag, std::vector<std::string>& values, const std::string& help,
                          const std::string& what) {
  return append({.flag = flag,
                 .kind = Option::Kind::kTexts,
                 .help = help,
                 .unit = what,
                 .range = "one or more",
                 .initial = values.empty() ? "none" : join(values, " "),
                 .assign = [&values](const auto& raw) { values = raw; },
                 .toml =
                     [&values] {
                       std::vector<std::string> quoted;
                       for (const std::string& value : values) quoted.push_back(toml_string(value));
                       return values.empty() ? std::string() : toml_array(quoted);
                     }});
}

Option& Options::add_numbers(const std::string& flag, std::vector<double>& values, const std::string& help, Range range,
                             const std::string& unit) {
  std::vector<std::string> initial;
  for (double value : values) initial.push_back(number_text(value));
  return append({.flag = flag,
                 .kind = Option::Kind::kReals,
                 .help = help,
                 .unit = unit,
                 .range = concat_message(values.size(), " numbers in ", range_text(range)),
                 .initial = join(initial, ","),
                 .assign =
                     [&values, range](const auto& raw) {
                       const std::vector<std::string> parts = split(join(raw));
                       check_input(parts.size() == values.size(), Fault::kUsage, "expected ", values.size(),
                                   " numbers joined by commas, found '", join(raw), "'");
                       std::vector<double> parsed;
                       for (const std::string& part : parts) parsed.push_back(parse_within<double>(part, range));
                       values = parsed;
                     },
                 .toml =
                     [&values] {
                       std::vector<std::string> texts;
                       for (double value : values) texts.push_back(number_text(value));
                       return toml_array(texts);
                     }});
}

Option& Options::add_positional(const std::string& name, std::string& value, const std::string& help) {
  return add(name, value, help, "FILE");
}

void Options::common_flags(const std::vector<std::string>& flags) {
  for (const std::string& flag : flags) {
    const auto found =
        std::find_if(options_.begin(), options_.end(), [&](const auto& one) { return one->flag == flag; });
    check(found != options_.end(), "common_flags: there is no ", flag);
    (*found)->is_common = true;
  }
  has_common_flags_ = true;
}

Options& Options::subcommand(const std::string& name, const std::string& summary, const std::string& example) {
  subcommands_.push_back(std::make_unique<Options>(ProgramInfo{name, summary, example}));
  return *subcommands_.back();
}

void declare_best(Options& options, std::string& best) {
  options.add_choice("--best", best, "of averaged weights those of the least validation loss, where the run has them",
                     {"on", "off"});
}

}  // namespace echodiff
