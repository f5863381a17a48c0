// The value model's data from recordings.
#pragma once

#include <string>
#include <vector>

#include "quality/judges/value_data.h"

namespace echodiff {

// Every trajectory of the recordings (recording.h). Throws Error: kMissingInput; kBadInput unless all have labels and
// agree on size, planes, schedule, T and thresholds.
ValueData read_value_data(const std::vector<std::string>& recordings);

}  // namespace echodiff
