// --tensorboard: event files beside log.jsonl, of every trainer.
#pragma once

#include <memory>
#include <string>

#include "cli/cli.h"
#include "train/event_file.h"

namespace echodiff {

void declare_tensorboard(Options& options, bool& wanted);

// Of a run that begins or goes on after first_step; none where it isn't wanted.
std::shared_ptr<EventFile> open_events(bool wanted, const std::string& run, int64_t first_step, const Common& common);

}  // namespace echodiff
