#include "train/best_checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "tensor/io/file.h"
#include "train/checkpoint_names.h"

namespace echodiff {
namespace {

std::string folder_of(const std::string& run) { return run + "/checkpoints/"; }

void remove_best(const std::string& run, int64_t step) {
  std::error_code ignored;
  std::filesystem::remove(folder_of(run) + checkpoint_name(kBestHead, step), ignored);
}

}  // namespace

std::string best_checkpoint(const std::string& run) {
  const std::vector<int64_t> steps = steps_in(kBestHead, folder_of(run));
  return steps.empty() ? "" : folder_of(run) + checkpoint_name(kBestHead, steps.back());
}

void save_best(const std::string& run, int64_t step, std::vector<NamedTensor> averaged, const Metadata& metadata) {
  for (NamedTensor& entry : averaged) entry.tensor = entry.tensor.to(Device::kCpu);
  require_finite(averaged, Fault::kInternal, "step " + std::to_string(step) + ", not kept as the best");
  write_file_atomic(folder_of(run) + checkpoint_name(kBestHead, step), encode_checkpoint(averaged, metadata));
  prune_best(run);
}

void prune_best(const std::string& run) {
  const std::vector<int64_t> best = steps_in(kBestHead, folder_of(run));
  std::set<int64_t> needed;
  if (!best.empty()) needed.insert(best.back());
  for (const int64_t step : steps_in(kStepHead, folder_of(run))) {
    const auto newer = std::upper_bound(best.begin(), best.end(), step);
    if (newer != best.begin()) needed.insert(*(newer - 1));
  }
  for (const int64_t step : best)
    if (!needed.contains(step)) remove_best(run, step);
}

void forget_best_after(const std::string& run, int64_t step) {
  for (const int64_t each : steps_in(kBestHead, folder_of(run)))
    if (each > step) remove_best(run, each);
}

}  // namespace echodiff
