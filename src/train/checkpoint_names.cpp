#include "train/checkpoint_names.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTail = ".safetensors";

}  // namespace

std::string checkpoint_name(const std::string& head, int64_t step) {
  char number[32];
  std::snprintf(number, sizeof number, "-%08lld", static_cast<long long>(step));
  return head + number + std::string(kTail);
}

std::optional<int64_t> step_in(const std::string& head, const std::string& name) {
  const size_t first = head.size() + 1;
  if (name.size() <= first + kTail.size() || !name.ends_with(kTail)) return std::nullopt;
  const std::string_view digits = std::string_view(name).substr(first, name.size() - kTail.size() - first);
  const std::optional<int64_t> step = parse_number<int64_t>(digits);
  return step && *step >= 0 && checkpoint_name(head, *step) == name ? step : std::nullopt;
}

std::vector<int64_t> steps_in(const std::string& head, const std::string& folder) {
  std::vector<int64_t> steps;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored))
    if (const std::optional<int64_t> step = step_in(head, entry.path().filename().string())) steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

}  // namespace echodiff
