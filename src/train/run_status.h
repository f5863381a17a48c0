// How a training run is doing, from its files alone: nothing is locked, changed or waited for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace echodiff {

struct RunStatus {
  std::string program;                   // "dtrain diffusion", of config.toml; "" without
  int64_t step = 0;                      // of the last line of log.jsonl, or of the newest checkpoint
  std::optional<int64_t> steps;          // in all, where config.toml says
  std::optional<double> steps_a_second;  // over the last lines of one session
  std::string checkpoint;                // the newest one's path; "" without
  int64_t saved_step = 0;                // its step
  double saved_seconds_ago = 0;          //
  std::string best;                      // the best checkpoint's path; "" without
  int64_t losses = 0, bad_losses = 0;    // of the last lines, and those that are not finite
  std::optional<double> loss;            // the last finite one
  std::optional<int64_t> process;        // that holds the run's lock; 0: one without a number here
  int64_t free_bytes = 0;                // on the disk of the run
  std::string stopped;                   // why it ended before its last step; "" where it did not
  bool finished() const { return !stopped.empty() || (steps && saved_step >= *steps); }
};

// Throws Error: kMissingInput where there is no run directory, kBadInput where config.toml or checkpoints/latest is
// damaged. Lines of the log that a crash has cut are passed over.
RunStatus read_run_status(const std::string& run);

}  // namespace echodiff
