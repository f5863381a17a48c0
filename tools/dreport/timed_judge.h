// What a judge is worth by time: of a run of dtrain value on its test trajectories, or of every judge of a recording;
// beside what no judge can exceed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quality/judges/judge_over_t.h"

namespace echodiff {

// Frames of a span of t together; low = high = -1: the finished pictures.
struct TimeBin {
  int64_t t_low = 0, t_high = 0, frames = 0;
  Reliability reliability{kNotGiven, kNotGiven, {}};
};

struct TimedJudge {
  std::string name, on;            // on: what it looks at (x0hat, xt, x0)
  std::string folder;              // the run's or the recording's
  std::vector<AurocAtTime> auroc;  // t = -1: the finished picture; t = T: x_T, before the first call
  std::vector<TimeBin> calibration;
};
// metrics.json of dtrain value. Throws Error(kBadInput), naming file and key.
TimedJudge read_timed_judge(const std::string& path, const std::string& name);

// Each judge of a recording by its recorded scores, at kMostLooks of its steps at the most and on the finished picture,
// and on x_T before the first call (t = T). None where the recording has no labels. Throws Error: kMissingInput,
// kBadInput.
constexpr int64_t kMostLooks = 24;
std::vector<TimedJudge> recorded_judges(const std::string& directory, const std::string& name);

// The file of dsample ceiling. Throws Error: kMissingInput, kBadInput.
struct Ceiling {
  struct Look {
    int64_t calls = 0, t = 0;
    double lower = kNotGiven, upper = kNotGiven;
  };
  std::string name;  // the file's, without extension
  int64_t states = 0, branches = 0, steps = 0;
  std::vector<Look> looks;
};
Ceiling read_ceiling(const std::string& path);

}  // namespace echodiff
