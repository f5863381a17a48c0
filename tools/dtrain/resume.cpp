#include "dtrain/resume.h"

#include <filesystem>

#include "tensor/io/toml.h"
#include "train/run_dir.h"
#include "train/run_log.h"

namespace echodiff {
namespace {

// They name places, or what is said of the run on its way; and in which precision, which a run may change.
const std::set<std::string> kNeverBinding{"out",       "resume",        "allow-changes", "threads",    "quiet",
                                          "device",    "deterministic", "precision",     "save-every", "keep",
                                          "log-every", "tensorboard",   "dry-run"};

constexpr const char* kPrefix = "training.";

// Those of `facts` that differ from what the checkpoint knows of them. A flag that it doesn't know was unset then, or
// is younger than it: it differs where it is given.
std::string known_differences(const SafetensorsFile& saved, const Metadata& facts, const Common& common) {
  Metadata before, now;
  for (const auto& [key, value] : saved.metadata)
    if (key.starts_with(kPrefix) || facts.contains(key)) before[key] = value;
  const bool knows_flags = before.contains("training.data");  // no older version's, nor imported
  for (const auto& [key, value] : facts)
    if (before.contains(key) || (knows_flags && common.given("--" + key.substr(key.find('.') + 1)))) now[key] = value;
  return differences(before, now);
}

}  // namespace

void declare_resume(Options& options, ResumeFlags& flags) {
  options.add_flag("--resume", flags.on, "go on from the newest checkpoint of --out, to the same bits");
  options.add_flag("--allow-changes", flags.allow_changes,
                   "with --resume: go on although flags or data are others than the run began with");
}

std::string unbroken_toml(const Common& common) {
  const std::string resumed = "\nresume = true\n";
  std::string toml = common.resolved_toml;
  if (const size_t at = toml.find(resumed); at != std::string::npos)
    toml.replace(at, resumed.size(), "\nresume = false\n");
  return toml;
}

std::optional<SafetensorsFile> checkpoint_to_resume(const std::string& run, const ResumeFlags& flags) {
  const std::string found = latest_checkpoint(run), stray = stray_checkpoint(run);
  check_input((found.empty() && stray.empty()) || flags.on, Fault::kCannotCreate, run,
              ": holds a run already; go on with --resume or choose another --out");
  check_input(stray.empty(), Fault::kBadInput, run, ": checkpoints/latest is missing, and ", stray,
              " is there; write the name of the checkpoint to go on from into checkpoints/latest, or choose another "
              "--out");
  if (found.empty()) return std::nullopt;
  return read_checkpoint(found);
}

Metadata training_facts(const Common& common, const std::set<std::string>& apart) {
  Metadata facts;
  for (const auto& [key, value] : parse_flat_toml(common.resolved_toml, "flags"))
    if (key.find('.') == std::string::npos && !kNeverBinding.contains(key) && !apart.contains(key))
      facts[kPrefix + key] = value;
  return facts;
}

void require_same_facts(const SafetensorsFile& saved, const Metadata& fixed, const Metadata& training,
                        const ResumeFlags& flags, const Common& common) {
  Metadata before;
  for (const auto& [key, value] : fixed)
    if (saved.metadata.contains(key)) before[key] = saved.metadata.at(key);
  const std::string lasting = differences(before, fixed), changed = known_differences(saved, training, common);
  const bool passes = lasting.empty() && (changed.empty() || flags.allow_changes);
  check_input(passes, Fault::kUsage, "--resume: ", saved.path, " was trained otherwise: ", lasting,
              lasting.empty() || changed.empty() ? "" : "; ", changed,
              "; give the flags and data of the first run (--config RUN/config.toml)",
              lasting.empty() ? ", or add --allow-changes" : "");
  if (!changed.empty()) note(common, "going on with changes: " + changed);
}

void check_log(const std::string& path, int64_t steps_done, int64_t log_every, const Common& common) {
  const int64_t expected = steps_done - steps_done % log_every, found = last_logged(path, "loss");
  if (found < expected)
    note(common, concat_message("warning: ", path, ": ends at step ", found, ", expected ", expected,
                                ": the file was cut, and its last lines are lost; training goes on"));
}

}  // namespace echodiff
