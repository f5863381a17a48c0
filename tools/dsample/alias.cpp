// The flags that the version before had in place of subcommands. To be deleted with the next version.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "dsample/dsample.h"
#include "tensor/io/toml.h"

namespace echodiff {
namespace {

using Arguments = std::vector<std::string>;

struct OldFlag {
  const char *flag, *subcommand;
};
constexpr OldFlag kOldFlags[] = {{"--fit", "fit"},  // beside --simulate REC
                                 {"--simulate", "replay"},
                                 {"--record", "record"},
                                 {"--fit-adadiff", "fit-exits"},
                                 {"--ceiling", "ceiling"}};

// Takes "--flag value" or "--flag=value" out of the arguments.
std::optional<std::string> taken(Arguments& arguments, const std::string& flag) {
  for (Arguments::iterator at = arguments.begin(); at != arguments.end(); ++at) {
    const bool apart = *at == flag && at + 1 != arguments.end();
    if (!apart && !at->starts_with(flag + "=")) continue;
    const std::string value = apart ? at[1] : at->substr(flag.size() + 1);
    arguments.erase(at, at + (apart ? 2 : 1));
    return value;
  }
  return std::nullopt;
}

// The old flags that the --config file sets, as if they were given.
void add_from_config(Arguments& arguments) {
  Arguments rest = arguments;
  const std::optional<std::string> path = taken(rest, "--config");
  if (!path) return;
  try {
    for (const auto& [key, value] : read_flat_toml(*path))
      for (const OldFlag& old : kOldFlags)
        if (old.flag == "--" + key && !taken(rest, old.flag)) arguments.insert(arguments.end(), {old.flag, value});
  } catch (const std::exception&) {  // whoever reads it next says what is wrong
  }
}

}  // namespace

Arguments in_new_form(const Arguments& arguments) {
  if (!arguments.empty() && !arguments[0].starts_with("-")) return arguments;  // a subcommand
  Arguments rest = arguments;
  add_from_config(rest);
  for (const OldFlag& old : kOldFlags) {
    const std::optional<std::string> value = taken(rest, old.flag);
    if (!value) continue;
    if (std::find(rest.begin(), rest.end(), "--quiet") == rest.end())
      std::fprintf(stderr, "dsample: %s is now a subcommand: dsample %s (see its --help)\n", old.flag, old.subcommand);
    const std::string name = old.subcommand,
                      recording = name == "fit" ? taken(rest, "--simulate").value_or("") : *value;
    if (name != "replay") rest.insert(rest.begin(), {"--out", *value});
    if (name == "fit" || name == "replay") rest.insert(rest.begin(), recording);
    rest.insert(rest.begin(), name);
    return rest;
  }
  return arguments;
}

void ignore_old_keys(Options& program) {
  for (const OldFlag& old : kOldFlags) program.ignore_key(std::string(old.flag).substr(2));
}

}  // namespace echodiff
