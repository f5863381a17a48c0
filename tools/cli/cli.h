// The shell every program shares: flags, --config, --print-config, --version, exit codes, signals.
//
//   int main(int argc, char** argv) {
//     std::string out, sampler = "ddim";
//     int64_t count = 100;
//     double eta = 0;
//     std::optional<int64_t> accept;
//     const ProgramInfo info{"dthing", "Makes things.", "dthing --out things --count 20"};
//     return run_program(argc, argv, info, [&](Options& options) {
//       options.add("--out", out, "folder to write", "DIR").required();
//       options.add("--count", count, "pictures to make", {1, 1000000}, "pictures");
//       options.add("--eta", eta, "share of fresh noise", {0, 1}, "fraction");
//       options.add_choice("--sampler", sampler, "reverse process", {"ddpm", "ddim"});
//       options.add("--accept", accept, "stop after so many accepted", {1, 1000000}, "pictures", "no limit");
//       options.rule([&] { check_input(count > 2, Fault::kUsage, "--count: ..."); });  // flags that depend on others
//       options.body([&](const Common& common) { return make_things(out, count, common.seed); });  // the exit code
//     });
//   }
//
// With subcommands each has its own options and body:
//
//   Options& scorer = options.subcommand("scorer", "Trains ...", "dtrain scorer --labels ...");
//   scorer.add(...);
//   scorer.body(...);
//
// A program whose root has a body too runs that where no subcommand is named. What a flag is bound to holds its default
// and must outlive run_program. Every program also has --help --help-all --version --config --print-config --seed
// --threads --device --quiet, and those that run on a GPU --precision and --deterministic. A config key is the flag's
// long name ("image-size = 64"), at the top or in the subcommand's table; where the root has a body, keys of any
// subcommand may stand at the top: each takes its own.
//
// Errors: a bad flag or key ends the program with 2, any Error with its fault's code, std::bad_alloc with 71, any other
// exception with 70; always one line on stderr. Order: flags and rules (2), device (69), then the body.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/progress.h"
#include "kernels/error.h"

namespace echodiff {

struct ProgramInfo {
  std::string name, summary, example;
};

// What every body is told.
struct Common {
  uint64_t seed = 0;
  int64_t threads = 1;         // resolved: never 0; the thread pool has been told
  std::string device = "cpu";  // resolved: "cpu" or "cuda"
  bool bf16 = false;           // --precision bf16: activations in bf16, on cuda
  bool quiet = false;          // no progress, no notes
  std::string program;         // "dtrain diffusion"
  std::string resolved_toml;   // every option with its value, as RUN/config.toml stores it; --config reads it back
  std::map<std::string, bool> given_flags;

  // Was the flag ("--steps") set on the command line or in the config file? A file made by --print-config sets every
  // flag but the unset ones: to tell "not asked for", bind an optional or an empty text instead.
  bool given(const std::string& flag) const { return given_flags.count(flag) != 0; }
};

// Inclusive ranges.
struct IntRange {
  int64_t low, high;
};
struct Range {
  double low, high;
};

// One flag, positional or config key.
struct Option {
  enum class Kind { kInteger, kReal, kText, kFlag, kTexts, kReals };
  std::string flag;  // "--image-size"; a positional has no dashes
  Kind kind = Kind::kText;
  std::string help, unit, range;
  std::string initial;                                          // the default, as --help prints it
  std::function<void(const std::vector<std::string>&)> assign;  // throws Error(kUsage), without the flag's name
  std::function<std::string()> toml;                            // the value as TOML; empty: unset
  bool is_required = false, is_given = false, is_common = false;

  bool positional() const { return flag.rfind("--", 0) != 0; }
  std::string key() const { return positional() ? flag : flag.substr(2); }
  Option& required() {
    is_required = true;
    return *this;
  }
};

class Options {
 public:
  explicit Options(ProgramInfo info) : info_(std::move(info)) {}

  // `unit` says what is counted ("pictures", "grey levels", "fraction"); `unset` what an absent optional value means.
  Option& add(const std::string& flag, int64_t& value, const std::string& help, IntRange range,
              const std::string& unit);
  Option& add(const std::string& flag, double& value, const std::string& help, Range range, const std::string& unit);
  Option& add(const std::string& flag, std::optional<int64_t>& value, const std::string& help, IntRange range,
              const std::string& unit, const std::string& unset);
  Option& add(const std::string& flag, std::optional<double>& value, const std::string& help, Range range,
              const std::string& unit, const std::string& unset);
  // Text: a path or name. `what` is its unit ("DIR", "FILE", "NAME=VALUE,..."); empty text is "unset".
  Option& add(const std::string& flag, std::string& value, const std::string& help, const std::string& what,
              const std::string& unset = "none");
  // true when present; --config has `key = true`.
  Option& add_flag(const std::string& flag, bool& value, const std::string& help);
  // One of a few names; an empty value is unset.
  Option& add_choice(const std::string& flag, std::string& value, const std::string& help,
                     std::vector<std::string> choices, const std::string& unset = "none");
  // One or more texts: --runs a b c.
  Option& add_list(const std::string& flag, std::vector<std::string>& values, const std::string& help,
                   const std::string& what);
  // Exactly as many numbers as `values` holds, joined by commas: --betas 0.9,0.99.
  Option& add_numbers(const std::string& flag, std::vector<double>& values, const std::string& help, Range range,
                      const std::string& unit);
  // Positionals are taken in the order they are added.
  Option& add_positional(const std::string& name, std::string& value, const std::string& help);

  // This program, or this subcommand, can compute on a GPU, and has --precision and --deterministic; the others refuse
  // --device cuda. `gpu`: the number of the one that is taken, counted round those that the process sees.
  void runs_on_cuda(std::function<int64_t()> gpu = [] { return 0; }) { gpu_ = std::move(gpu); }
  bool can_run_on_cuda() const { return bool(gpu_); }
  int64_t gpu() const { return gpu_(); }
  // Runs after all flags are read and before the device is looked at: throws Error(kUsage).
  void rule(std::function<void()> check) { rules_.push_back(std::move(check)); }
  void body(std::function<int(const Common&)> body) { body_ = std::move(body); }
  // The flags that most users need: --help then shows these alone, a line or two each, and --help-all shows all.
  // Required ones are always among them.
  void common_flags(const std::vector<std::string>& flags);
  bool has_common_flags() const { return has_common_flags_; }
  // A key of an older version's config files.
  void ignore_key(const std::string& key) { ignored_keys_.insert(key); }
  bool ignores_key(const std::string& key) const { return ignored_keys_.count(key) != 0; }
  Options& subcommand(const std::string& name, const std::string& summary, const std::string& example);

  const ProgramInfo& info() const { return info_; }
  const std::vector<std::unique_ptr<Option>>& options() const { return options_; }
  const std::vector<std::unique_ptr<Options>>& subcommands() const { return subcommands_; }
  const std::vector<std::function<void()>>& rules() const { return rules_; }
  bool has_body() const { return bool(body_); }
  int run_body(const Common& common) const { return body_(common); }

 private:
  Option& append(Option option);

  ProgramInfo info_;
  std::vector<std::unique_ptr<Option>> options_;
  std::vector<std::unique_ptr<Options>> subcommands_;
  std::vector<std::function<void()>> rules_;
  std::function<int(const Common&)> body_;
  std::set<std::string> ignored_keys_;
  std::function<int64_t()> gpu_;
  bool has_common_flags_ = false;
};

// --best, of the programs that read a run of dtrain diffusion: which of its averaged weights they take.
void declare_best(Options& options, std::string& best);

// Reads the flags, calls the body of what was asked for, and turns every error into a line on stderr and an exit code.
int run_program(int argc, char** argv, const ProgramInfo& info, const std::function<void(Options&)>& declare);

// In a catch block: the exception as that line, its exit code. run_program does so last; one of many processes that
// fails says so before it ends the others.
int report_exception(const std::string& program);

// Opens /dev/null for whichever of stdin, stdout and stderr is closed: else the next file opened would take its number,
// and messages would be written into it. run_program does so first.
void open_standard_streams();

// SIGINT, SIGTERM or SIGHUP came: a loop saves and returns interrupt_exit_code() (130, 143 or 129). A second signal
// kills. Work that is long without a loop asks between its ops (StopWhen, tensor/observe.h); what Stopped ends, ends
// the program with that code. Where nobody has asked for four seconds after the signal there was nothing to save:
// reading pictures, fitting statistics; the program ends there, and files are whole or not there at all in any case.
bool interrupted();
int interrupt_exit_code();

// "dlabel" of "dlabel score".
std::string program_name(const Common& common);
// A line on stderr, "dlabel: message"; nothing when the program was started with --quiet.
void note(const Common& common, const std::string& message);

std::string version_string();   // "0.1.0"
std::string source_revision();  // from git when built in a checkout, else "unknown"

}  // namespace echodiff
