// What to do with a trajectory while it is being sampled: one value per rule, one file per rule.
//
// After each step that `monitors` names, the judge scores what there is (x0_hat or x_t) and `decide` sees all scores so
// far. A picture that is kept is scored once more as its saved 8 bits; where `judges_final`, it must reach tau there.
// Rules are pure: the same scores give the same ruling, whatever happened to other trajectories.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace echodiff {

struct Score {
  int64_t t = 0;  // the time of what was scored: t of x0_hat_t or of x_t; -1 is the finished x_0
  double value = 0;
};

enum class Verdict { kContinue, kDiscard, kAccept };

struct Ruling {
  Verdict verdict = Verdict::kContinue;
  std::string reason;  // of a discard or accept, one word for the log
};

struct Moment {
  const std::vector<Score>& scores;  // oldest first
  int64_t index = 0;                 // which trajectory
  int64_t step = 0, steps = 0;       // the step just taken, 0-based, of so many
  int64_t calls_left = 0;            // network calls that finishing would still cost
};

struct Policy {
  std::string name;
  bool needs_scorer = true;
  bool judges_final = true;
  bool reads_scores = true;  // false: decide() looks at no score, so none is made for it
  std::function<bool(int64_t step, int64_t steps)> monitors;  // is this step scored and ruled on?
  std::function<Ruling(const Moment&)> decide;
};

}  // namespace echodiff
