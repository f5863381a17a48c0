// The command line, tokenised by CLI11. Every option takes text: values, ranges and required options are ours, since
// CLI11 lets NaN through its number checks and reports errors over several lines.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <utility>

#include "cli/internal.h"
#include "tensor/io/text.h"

namespace echodiff::cli {
namespace {

using Registered = std::vector<std::pair<Option*, CLI::Option*>>;

void register_options(CLI::App& app, const Options& options, Registered& registered) {
  for (const std::unique_ptr<Option>& option : options.options()) {
    CLI::Option* parsed = nullptr;
    if (option->kind == Option::Kind::kFlag) {
      parsed = app.add_flag(option->flag);
    } else {
      parsed = app.add_option(option->flag);
      if (option->kind == Option::Kind::kTexts) {
        parsed->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
      } else {
        parsed->allow_extra_args(false);
      }
      parsed->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);  // a flag given twice is refused with its value
    }
    registered.emplace_back(option.get(), parsed);
  }
}

std::vector<std::string> known_words(const Options& root, const Options& common, const Options* chosen) {
  std::vector<std::string> words = {"--help", "--help-all", "--version", "--config", "--print-config"};
  for (const std::unique_ptr<Option>& option : common.options()) words.push_back(option->flag);
  for (const std::unique_ptr<Option>& option : (chosen ? *chosen : root).options()) words.push_back(option->flag);
  if (!chosen || chosen == &root)
    for (const std::unique_ptr<Options>& sub : root.subcommands()) words.push_back(sub->info().name);
  return words;
}

}  // namespace

std::string did_you_mean(const std::string& word, const std::vector<std::string>& candidates) {
  if (word.size() > 200) return "";
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : ", did you mean " + nearest + "?";
}

CommandLine parse_command_line(int argc, char** argv, const Options& root, const Options& common) {
  CommandLine line;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  Registered registered;
  app.add_flag("-h,--help", line.help);
  app.add_flag("--help-all", line.help_all);
  app.add_flag("--version", line.version);
  app.add_flag("--print-config", line.print_config);
  CLI::Option* config = app.add_option("--config")->allow_extra_args(false);
  register_options(app, common, registered);
  register_options(app, root, registered);
  std::vector<std::pair<const Options*, CLI::App*>> subcommands;
  for (const std::unique_ptr<Options>& sub : root.subcommands()) {
    CLI::App* parser = app.add_subcommand(sub->info().name);
    parser->set_help_flag();
    parser->allow_extras();
    parser->fallthrough();  // the common flags are the program's, and may follow the subcommand
    register_options(*parser, *sub, registered);
    subcommands.emplace_back(sub.get(), parser);
  }
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string message = error.what();
    throw Error(Fault::kUsage, message.substr(0, message.find(':')) + ": expected a value (see --help)");
  } catch (const CLI::ParseError& error) {
    throw Error(Fault::kUsage, std::string(error.what()) + " (see --help)");
  }
  if (subcommands.empty() || root.has_body()) line.chosen = &root;
  for (const auto& [options, parser] : subcommands)
    if (parser->parsed()) line.chosen = options;
  for (const auto& [option, parsed] : registered)
    if (parsed->count() > 0) line.raw_values[option] = parsed->results();
  std::vector<std::string> extras = app.remaining(true);
  if (line.chosen && line.chosen != &root)  // what it doesn't know falls through to the root
    for (const std::unique_ptr<Option>& option : root.options())
      if (line.raw_values.count(option.get()) != 0) extras.push_back(option->flag);
  if (!extras.empty()) {
    const std::string word = extras[0].substr(0, extras[0].find('='));
    throw Error(Fault::kUsage, "unknown argument '" + extras[0] + "'" +
                                   did_you_mean(word, known_words(root, common, line.chosen)) + " (see --help)");
  }
  if (config->count() > 0) line.config = config->results().back();
  check_input(config->count() == 0 || !line.config.empty(), Fault::kUsage, "--config: expected a file name");
  return line;
}

}  // namespace echodiff::cli
