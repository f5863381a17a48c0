// dtrain status: how a run is doing, from its files, while it goes on or after.
#include <cstdio>

#include "dtrain/dtrain.h"
#include "tensor/io/text.h"
#include "train/run_status.h"

namespace echodiff {
namespace {

void print_row(const char* name, const std::string& text) { std::printf("%-10s %s\n", name, printable(text).c_str()); }

std::string step_text(const RunStatus& status) {
  if (!status.steps) return std::to_string(status.step);
  return concat_message(status.step, " of ", *status.steps, " (", status.step * 100 / *status.steps, " %)",
                        status.finished() ? ", finished" : "",
                        status.stopped.empty() ? "" : " early: " + status.stopped);
}

std::string rate_text(const RunStatus& status) {
  if (!status.steps_a_second) return "not known yet: needs two lines of log.jsonl with seconds";
  const double rate = *status.steps_a_second;
  char text[64];
  std::snprintf(text, sizeof text, rate >= 1 ? "%.1f steps/s" : "%.3f steps/s", rate);
  const bool goes_on = status.process && status.steps && status.step < *status.steps;
  return text + (goes_on ? ", " + format_duration(double(*status.steps - status.step) / rate) + " left" : "");
}

std::string saved_text(const RunStatus& status) {
  if (status.checkpoint.empty()) return "none yet";
  return concat_message("step ", status.saved_step, ", ", format_duration(status.saved_seconds_ago), " ago, ",
                        status.checkpoint);
}

std::string health_text(const RunStatus& status) {
  if (status.losses == 0) return "no loss is logged yet";
  const std::string last = status.loss ? concat_message(", the last ", *status.loss) : "";
  if (status.bad_losses == 0) return concat_message("the last ", status.losses, " losses are finite", last);
  return concat_message("NOT FINITE: ", status.bad_losses, " of the last ", status.losses, " losses", last,
                        "; try a smaller --lr");
}

std::string process_text(const RunStatus& status) {
  if (!status.process) return status.finished() ? "none" : "none works in it; go on with --resume";
  return *status.process > 0 ? concat_message("process ", *status.process, " works in it") : "a process works in it";
}

int show_status(const std::string& run) {
  const RunStatus status = read_run_status(run);
  print_row("run", run + (status.program.empty() ? "" : " (" + status.program + ")"));
  print_row("step", step_text(status));
  print_row("rate", rate_text(status));
  print_row("last save", saved_text(status));
  if (!status.best.empty()) print_row("best", status.best + ", of the least validation loss");
  print_row("health", health_text(status));
  print_row("process", process_text(status));
  print_row("disk left", concat_message(status.free_bytes >> 20, " MiB"));
  return 0;
}

}  // namespace

void add_status(Options& program) {
  static std::string run;
  Options& options = program.subcommand("status", "Says how a run is doing: step, rate, last save, health, disk.",
                                        "dtrain status runs/liver");
  options.add_positional("run", run, "run directory").required();
  options.body([](const Common&) { return show_status(run); });
}

}  // namespace echodiff
