// Any trained judge behind the one call the sampler knows.
#pragma once

#include <string>

#include "quality/sampler.h"

namespace echodiff {

// The newest checkpoint of a run of dtrain scorer (which looks at the picture alone) or of dtrain value, for pictures
// of height x width; it computes on `device`. Throws Error: kMissingInput; kBadInput when it was trained on another size.
Judge load_judge_run(const std::string& run, int64_t height, int64_t width, Device device = Device::kCpu);

}  // namespace echodiff
