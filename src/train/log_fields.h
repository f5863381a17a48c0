// One line of log.jsonl: names and values, "step" first.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace echodiff {

using LogValue = std::variant<int64_t, double, std::string, std::vector<double>>;
using LogFields = std::vector<std::pair<std::string, LogValue>>;

}  // namespace echodiff
