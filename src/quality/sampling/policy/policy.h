// What to do with a trajectory while it is being sampled: one value per rule, one file per rule.
//
// After each step that `monitors` names, the judge scores what there is (x0_hat or x_t) and `decide` sees all scores so
// far. A picture that is kept is scored once more as its saved 8 bits; where `judges_final`, it must reach tau there.
// Rules are pure: the same scores give the same ruling, whatever happened to other trajectories.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace echodiff {

enum class ScoreOn { x0hat, xt };  // what the policy's scores look at
const char* name_of(ScoreOn on);   // x0hat, xt
ScoreOn parse_score_on(const std::string& name);

struct Score {
  int64_t t = 0;  // the time of what was scored: t of x0_hat_t or of x_t; -1 is the finished x_0
  double value = 0;
};

enum class Verdict { kContinue, kDiscard, kAccept };

struct Ruling {
  Verdict verdict = Verdict::kContinue;
  std::string reason;                // of a discard or accept, one word for the log
  std::optional<size_t> ancestor{};  // decide_together: the member whose state this one goes on with
};

struct Moment {
  const std::vector<Score>& scores;  // oldest first
  int64_t index = 0;                 // which trajectory
  int64_t mask = 0;                  // which of the job's conditions
  int64_t step = 0, steps = 0;       // the step just taken, 0-based, of so many; step == steps: finished
  int64_t calls_left = 0;            // network calls that finishing would still cost
  size_t resampled_at = 0;           // how many scores there were when its group was last resampled
};

struct Policy {
  std::string name;
  bool needs_scorer = true;
  bool judges_final = true;
  bool reads_scores = true;  // false: decide() looks at no score, so none is made for it
  std::function<bool(int64_t step, int64_t steps)> monitors;  // is this step scored and ruled on?
  std::function<Ruling(const Moment&)> decide;

  // Above 1: trajectories of one mask are ruled on together, so many at a time (the first n of the mask, the next n,
  // ...), once all of them that are left have come to a monitored step. The others go on meanwhile.
  int64_t group = 1;
  std::function<std::vector<Ruling>(const std::vector<Moment>&)> decide_together;  // by index; one each
  bool ranks_finished = false;  // decide_together is asked about the finished pictures too; their score comes last
};

}  // namespace echodiff
