// What the files of RUN/checkpoints and RUN/ema are called: HEAD-NNNNNNNN.safetensors, by the steps that they have had.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace echodiff {

constexpr const char* kStepHead = "step";          // what training goes on from
constexpr const char* kBestHead = "best";          // the weights of the least validation loss (best_checkpoint.h)
constexpr const char* kSnapshotHead = "snapshot";  // averages, in RUN/ema (power_ema.h)

std::string checkpoint_name(const std::string& head, int64_t step);
// Of such a name; nothing for every other one.
std::optional<int64_t> step_in(const std::string& head, const std::string& name);
// Of all such files in the folder, ascending; none where it isn't there.
std::vector<int64_t> steps_in(const std::string& head, const std::string& folder);

}  // namespace echodiff
