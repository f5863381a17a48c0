#include "dtrain/tensorboard.h"

namespace echodiff {

void declare_tensorboard(Options& options, bool& wanted) {
  options.add_flag("--tensorboard", wanted,
                   "write what log.jsonl gets, and sample pictures, as event files too: tensorboard --logdir RUN");
}

std::shared_ptr<EventFile> open_events(bool wanted, const std::string& run, int64_t first_step, const Common& common) {
  if (!wanted) return nullptr;
  return std::make_shared<EventFile>(run, first_step,
                                     [&common](const std::string& warning) { note(common, "warning: " + warning); });
}

}  // namespace echodiff
