// --resume: what a run goes on from, and whether it goes on as it began.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "cli/cli.h"
#include "train/checkpoint.h"
#include "train/metadata.h"

namespace echodiff {

struct ResumeFlags {
  bool on = false, allow_changes = false;
};
void declare_resume(Options& options, ResumeFlags& flags);

// The flags as config.toml has them: the same whether the run was broken off or not.
std::string unbroken_toml(const Common& common);

// The newest checkpoint of the run directory; nothing when it has none. Throws Error: kCannotCreate when it has one and
// the user did not ask to resume; kBadInput, also where checkpoints lie there and none is named as the newest.
std::optional<SafetensorsFile> checkpoint_to_resume(const std::string& run, const ResumeFlags& flags);

// The flags that decide the bits of training, "training.lr" and so on, for the checkpoint's metadata: all but those of
// `apart` and those that decide none in any trainer.
Metadata training_facts(const Common& common, const std::set<std::string>& apart);

// Throws Error(kUsage), naming all that differs, unless the checkpoint's metadata says the same: going on otherwise
// gives neither run. What --allow-changes lets pass is said in a note; `fixed` it doesn't let pass, and facts that the
// checkpoint doesn't know (of an older version, or imported) count as the same.
void require_same_facts(const SafetensorsFile& saved, const Metadata& fixed, const Metadata& training,
                        const ResumeFlags& flags, const Common& common);

// Says so where the log is short of lines that the checkpoint's run has had: none is made again.
void check_log(const std::string& path, int64_t steps_done, int64_t log_every, const Common& common);

}  // namespace echodiff
