// From main to a body and back: flags, config, device, signals, exit codes.
#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <limits>
#include <new>
#include <system_error>

#include "cli/internal.h"
#include "kernels/cuda/backend.h"
#include "kernels/memory_limit.h"
#include "kernels/memory_pool.h"
#include "kernels/thread_pool.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/observe.h"

namespace echodiff {
namespace {

constexpr unsigned kPatience = 4;  // seconds from a signal to the end, where nobody asks whether one came

// A handler can reach nothing else.
volatile std::sig_atomic_t received_signal = 0, signal_was_seen = 0;

void remember_signal(int signal) {
  received_signal = signal;
  ::alarm(kPatience);
}

void end_unless_seen(int) {
  if (signal_was_seen == 0) ::_exit(128 + received_signal);
}

void install_signal_handlers() {
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  action.sa_flags = int(SA_RESETHAND) | SA_RESTART;  // the second signal ends the program at once
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    // A background job of a script starts with SIGINT ignored, one of nohup with SIGHUP; that stays so.
    struct sigaction inherited = {};
    if (sigaction(signal, nullptr, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
      sigaction(signal, &action, nullptr);
  }
  struct sigaction alarm = {};
  alarm.sa_handler = end_unless_seen;
  alarm.sa_flags = SA_RESTART;  // nothing that is being saved shall notice
  sigaction(SIGALRM, &alarm, nullptr);
  // A full disk limit or a closed pipe shall be a failed write, not a death.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

struct CommonFlags {
  int64_t seed = 0, threads = 0, mem_limit = 0;
  std::string device = "auto", precision = "f32";
  bool quiet = false, deterministic = false;
};

void declare_common(Options& options, CommonFlags& flags) {
  options.add("--seed", flags.seed, "seed of everything random: same seed, same result",
              {0, std::numeric_limits<int64_t>::max()}, "seed");
  options.add("--threads", flags.threads, "threads to compute with, 0 for one per core; results don't depend on it",
              {0, 1024}, "threads");
  options.add("--mem-limit", flags.mem_limit, "memory that tensors may take, 0 for all that the machine has",
              {0, int64_t{1} << 40}, "MiB");
  options.add_choice("--device", flags.device, "where to compute; auto is cpu", {"auto", "cpu", "cuda"});
  options.add_flag("--quiet", flags.quiet, "no progress and no notes on stderr");
  options.common_flags({"--seed", "--threads", "--quiet"});
}

// Of what can run on a GPU: the program, or some of its subcommands.
void declare_cuda(Options& options, CommonFlags& flags) {
  for (const std::unique_ptr<Options>& sub : options.subcommands()) declare_cuda(*sub, flags);
  if (!options.can_run_on_cuda()) return;
  options.add_choice("--precision", flags.precision,
                     "with --device cuda: f32 | tf32: products of f32 rounded to 11 bits | bf16: activations in bf16, "
                     "weights in f32",
                     {"f32", "tf32", "bf16"});
  options.add_flag("--deterministic", flags.deterministic, "with --device cuda: the same bits in each run, slower");
}

void check_precision(const CommonFlags& flags) {
  check_input(flags.precision == "f32" || flags.device == "cuda", Fault::kUsage, "--precision ", flags.precision,
              ": the CPU computes in f32; add --device cuda, or leave --precision out");
}

void assign_given(const Options& options, const cli::CommandLine& line) {
  for (const std::unique_ptr<Option>& option : options.options()) {
    const auto found = line.raw_values.find(option.get());
    if (found == line.raw_values.end()) continue;
    for (const std::string& raw : found->second)  // config.toml, labels and pages couldn't hold it
      check_input(is_utf8(raw), Fault::kUsage, option->flag, ": expected text in UTF-8, found ", in_quotes(raw),
                  "; rename what it names");
    try {
      option->assign(found->second);
    } catch (const Error& error) {
      throw Error(Fault::kUsage, option->flag + ": " + error.what());
    }
    option->is_given = true;
  }
}

void check_required(const Options& options) {
  for (const std::unique_ptr<Option>& option : options.options())
    check_input(!option->is_required || (option->is_given && !option->toml().empty()), Fault::kUsage, option->flag,
                " is required: ", option->help, " (see --help)");
}

std::string missing_subcommand(const Options& root) {
  std::string names;
  for (const std::unique_ptr<Options>& sub : root.subcommands())
    names += (names.empty() ? "" : ", ") + sub->info().name;
  return "expected a subcommand: " + names + " (see --help)";
}

// auto takes the CPU: no GPU has run these kernels yet (docs/design.md, "CUDA").
std::string resolve_device(const CommonFlags& flags, const Options& chosen, const std::string& program) {
  if (flags.device != "cuda") return "cpu";
  check_input(chosen.can_run_on_cuda(), Fault::kNoDevice, "--device cuda: ", program,
              " does not run on a GPU; use --device cpu");
  if constexpr (cuda::kBuiltWithCuda) {
    cuda::ContextOptions options;
    options.device = int(chosen.gpu());
    options.deterministic = flags.deterministic;
    options.tf32 = flags.precision == "tf32";
    cuda::open_context(options);  // throws where there is no usable GPU
  } else {
    throw Error(Fault::kNoDevice,
                "--device cuda: this build has no CUDA; configure one with -D ECHODIFF_CUDA=ON, or use --device cpu");
  }
  return flags.device;
}

std::string resolved_toml(const Options& root, const Options& common, const Options& chosen,
                          const std::string& program) {
  std::string text = cli::toml_lines(common) + cli::toml_lines(chosen);
  // Without a chosen subcommand: what each would be told.
  if (&chosen == &root && !root.has_body())
    for (const std::unique_ptr<Options>& sub : root.subcommands())
      text += "\n[" + sub->info().name + "]\n" + cli::toml_lines(*sub);
  return text + "\n[made_by]\n" + toml_text_line("program", program) + toml_text_line("version", version_string()) +
         toml_text_line("revision", source_revision());
}

void print(const std::string& text) {
  std::cout << text << std::flush;
  check_input(bool(std::cout), Fault::kIo, "stdout: can't write; is the disk full or the pipe closed?");
}

int run(int argc, char** argv, Options& root, const std::function<void(Options&)>& declare) {
  CommonFlags flags;
  Options common_options(ProgramInfo{});
  declare_common(common_options, flags);
  declare(root);
  declare_cuda(root, flags);
  const cli::CommandLine line = cli::parse_command_line(argc, argv, root, common_options);
  if (line.help || line.help_all) {
    print(cli::help_text(root, common_options, line.chosen, line.help_all));
    return 0;
  }
  if (line.version) {
    print(root.info().name + " " + version_string() + " (" + source_revision() + ")\n");
    return 0;
  }
  check_input(line.chosen || line.print_config, Fault::kUsage, missing_subcommand(root));
  const Options& chosen = line.chosen ? *line.chosen : root;
  if (!line.config.empty()) cli::apply_config(line.config, root, common_options, line.chosen);
  assign_given(common_options, line);
  assign_given(chosen, line);

  Common common;
  common.program = root.info().name + (&chosen == &root ? "" : " " + chosen.info().name);
  common.resolved_toml = resolved_toml(root, common_options, chosen, common.program);
  if (line.print_config) {
    print(common.resolved_toml);
    return 0;
  }
  check_required(chosen);
  for (const std::function<void()>& rule : chosen.rules()) rule();
  check_precision(flags);
  common.seed = uint64_t(flags.seed);
  common.threads = flags.threads ? flags.threads : thread_count();
  common.quiet = flags.quiet;
  common.bf16 = flags.precision == "bf16";
  for (const Options* options : {&std::as_const(common_options), &chosen})
    for (const std::unique_ptr<Option>& option : options->options())
      if (option->is_given) common.given_flags[option->flag] = true;
  set_memory_limit(flags.mem_limit > 0 ? flags.mem_limit << 20 : machine_memory());
  common.device = resolve_device(flags, chosen, common.program);
  set_thread_count(int(common.threads));
  install_signal_handlers();
  const int code = chosen.run_body(common);
  print("");
  return code;
}

int report(const std::string& program, int code, const std::string& message) {
  std::fprintf(stderr, "%s: error: %s\n", program.c_str(), printable(message).c_str());
  return code;
}

// Of what tensors did not ask for: they say what was wanted.
std::string out_of_memory() {
  const MemoryStatistics tensors = memory_statistics();
  return concat_message("out of memory; tensors have ", tensors.in_use, " bytes, at most ", tensors.peak,
                        "; use a smaller batch, smaller pictures or fewer threads");
}

}  // namespace

void open_standard_streams() {
  for (int descriptor = 0; descriptor < 3; ++descriptor)
    if (::fcntl(descriptor, F_GETFD) == -1 && ::open("/dev/null", O_RDWR) != descriptor) std::abort();
}

int report_exception(const std::string& program) {
  try {
    throw;
  } catch (const Error& error) {
    return report(program, int(error.fault()), error.what());
  } catch (const Stopped&) {
    return interrupt_exit_code();
  } catch (const std::bad_alloc&) {
    return report(program, int(Fault::kOutOfMemory), out_of_memory());
  } catch (const std::system_error& error) {  // std::filesystem's too
    const bool memory = error.code() == std::errc::not_enough_memory ||
                        error.code() == std::errc::resource_unavailable_try_again;  // a thread that can't be made
    return report(program, int(memory ? Fault::kOutOfMemory : Fault::kIo), error.what());
  } catch (const std::exception& error) {
    return report(program, int(Fault::kInternal), error.what());
  }
}

int run_program(int argc, char** argv, const ProgramInfo& info, const std::function<void(Options&)>& declare) {
  // No program tells the local time; but libzip converts the dates of a zip's records, for which the C library would
  // open /etc/localtime while a file that nobody trusts is read. To glibc, ":" is UTC without a file.
  ::setenv("TZ", ":", 1);
  open_standard_streams();
  cli::prepare_last_resort();
  try {
    Options root(info);
    return run(argc, argv, root, declare);
  } catch (...) {
    return report_exception(info.name);
  }
}

bool interrupted() {
  if (received_signal == 0) return false;
  signal_was_seen = 1;
  return true;
}
int interrupt_exit_code() { return 128 + received_signal; }

std::string program_name(const Common& common) { return common.program.substr(0, common.program.find(' ')); }

void note(const Common& common, const std::string& message) {
  if (common.quiet) return;
  std::fprintf(stderr, "%s: %s\n", program_name(common).c_str(), printable(message).c_str());
}

}  // namespace echodiff
