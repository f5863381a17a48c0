#include "quality/sampling/exits_fit.h"

#include <cmath>
#include <deque>

#include "kernels/error.h"
#include "quality/sampling/policy/none.h"

namespace echodiff {
namespace {

constexpr size_t kGaps = 3;  // steps that deep features may be old

struct Observation {
  double log_moved, log_error;
};

// Least squares with a weak pull to slope 1.
ExitHead fitted(const std::vector<Observation>& seen) {
  constexpr double kPull = 0.1;
  const double n = double(seen.size());
  double x = 0, y = 0, xx = kPull, xy = kPull;
  for (const Observation& one : seen) {
    x += one.log_moved / n;
    y += one.log_error / n;
  }
  for (const Observation& one : seen) {
    xx += (one.log_moved - x) * (one.log_moved - x);
    xy += (one.log_moved - x) * (one.log_error - y);
  }
  ExitHead head;
  head.slope = xy / xx;
  head.offset = y - head.slope * x;
  double squares = 0;
  for (const Observation& one : seen) {
    const double off = one.log_error - head.offset - head.slope * one.log_moved;
    squares += off * off / n;
  }
  head.residual = std::sqrt(squares);
  return head;
}

}  // namespace

ExitRule fit_exits(SamplerJob job, const SamplerHooks& hooks) {
  const int64_t steps = job.plan.count();
  check_input(steps >= 2, Fault::kUsage, "exits: expected a sampler of at least 2 steps, found ", steps);
  struct Call {
    Tensor x, deep;  // its input, and the features it left
  };
  std::deque<Call> before;
  std::vector<std::vector<Observation>> seen(static_cast<size_t>(steps));
  int64_t step = 0;  // trajectories of a batch begin, step and end together
  job.policy = none_policy();
  job.whole_every = 1;
  job.caching = [&, network = job.caching](const Tensor& x, const Tensor& t, const Tensor& condition, Tensor& deep) {
    const Tensor answer = network(x, t, condition, deep);
    for (const Call& call : before) {
      Tensor old = call.deep;
      const Tensor shallow = network(x, t, condition, old);
      for (int64_t n = 0; n < x.dim(0); ++n)
        seen[size_t(step)].push_back({std::log(moved_by(x, call.x, n)), std::log(moved_by(shallow, answer, n))});
    }
    before.push_back({x, deep});
    if (before.size() > kGaps) before.pop_front();
    step = (step + 1) % steps;
    if (step == 0) before.clear();
    return answer;
  };
  if (run_sampler(job, {}, {}, hooks).interrupted) return {};
  ExitRule rule;
  rule.steps = steps;
  rule.mean_start = job.mean_start;
  rule.trajectories = job.count;
  for (int64_t k = 1; k < steps; ++k) rule.heads.push_back(fitted(seen[size_t(k)]));
  return rule;
}

}  // namespace echodiff
