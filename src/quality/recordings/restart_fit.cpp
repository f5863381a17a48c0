#include "quality/recordings/restart_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "diffusion/condition.h"
#include "kernels/error.h"
#include "quality/statistics/calibration.h"

namespace echodiff {
namespace {

constexpr double kMultiples[] = {0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25};

struct Trial {
  int64_t mask = 0;
  bool accepted = false;       // once finished
  std::vector<double> scores;  // of each look
};

struct Task {
  std::vector<std::string> masks;
  std::vector<int64_t> looks;
  int64_t calls_per_step = 1;
  bool equal_quota = false;
};

// Calls and accepted pictures of each mask.
struct Costs {
  std::vector<double> calls, accepted;

  explicit Costs(const Task& task) : calls(task.masks.size()), accepted(task.masks.size()) {}

  double pooled() const {
    const double all = std::accumulate(accepted.begin(), accepted.end(), 0.0);
    return all > 0 ? std::accumulate(calls.begin(), calls.end(), 0.0) / all : INFINITY;
  }
  double mean_of_masks() const {
    double sum = 0, masks = 0;
    for (size_t mask = 0; mask < calls.size(); ++mask) {
      if (calls[mask] == 0) continue;
      sum += calls[mask] / (accepted[mask] + 0.5);
      ++masks;
    }
    return sum / masks;
  }
  double per_accepted(const Task& task) const { return task.equal_quota ? mean_of_masks() : pooled(); }
};

// Whole trajectories that the rule goes on with, and parts of those it drops.
void add_costs(const Task& task, const std::vector<Trial>& trials, const RestartRule& rule, Costs& costs) {
  const Policy policy = restart_policy(rule, task.masks);
  for (const Trial& trial : trials) {
    int64_t taken = rule.steps;
    std::vector<Score> scores(1);
    for (size_t i = 0; i < rule.looks.size(); ++i) {
      const int64_t step = rule.looks[i].step;
      scores[0].value = trial.scores[i];
      const Moment moment{scores, 0, trial.mask, step, rule.steps, (rule.steps - step - 1) * task.calls_per_step};
      if (policy.decide(moment).verdict == Verdict::kContinue) continue;
      taken = step + 1;
      break;
    }
    costs.calls[size_t(trial.mask)] += double(taken * task.calls_per_step);
    costs.accepted[size_t(trial.mask)] += taken == rule.steps && trial.accepted ? 1 : 0;
  }
}

Costs costs_of(const Task& task, const std::vector<Trial>& trials, const RestartRule& rule) {
  Costs costs(task);
  add_costs(task, trials, rule, costs);
  return costs;
}

// Share of accepted pictures by mask, over that of all. Each mask's is drawn to the share of all, by four trajectories.
std::vector<double> relative_shares(const Task& task, const std::vector<Trial>& trials) {
  std::vector<double> accepted(task.masks.size()), finished(task.masks.size());
  double all = 0;
  for (const Trial& trial : trials) {
    accepted[size_t(trial.mask)] += trial.accepted ? 1 : 0;
    ++finished[size_t(trial.mask)];
    all += trial.accepted ? 1 : 0;
  }
  const double share = all / double(trials.size());
  std::vector<double> relative;
  for (size_t mask = 0; mask < accepted.size(); ++mask)
    relative.push_back((accepted[mask] + 4 * share) / (finished[mask] + 4) / share);
  return relative;
}

RestartRule fitted(const Task& task, const std::vector<Trial>& trials, RestartRule rule) {
  std::vector<bool> outcomes;
  for (const Trial& trial : trials) outcomes.push_back(trial.accepted);
  rule.looks.clear();
  for (size_t i = 0; i < task.looks.size(); ++i) {
    std::vector<double> scores;
    for (const Trial& trial : trials) scores.push_back(trial.scores[i]);
    rule.looks.push_back(fit_calibration(task.looks[i], scores, outcomes));
  }
  rule.lambda = 0;
  for (int iteration = 0; iteration < 30; ++iteration) {
    const double price = 1 / costs_of(task, trials, rule).pooled();
    if (price <= rule.lambda) break;
    rule.lambda = price;
  }
  const double price = rule.lambda;
  const std::vector<double> relative = task.equal_quota ? relative_shares(task, trials) : std::vector<double>();
  double best = INFINITY;
  for (const double multiple : kMultiples) {
    RestartRule other = rule;
    other.lambda = multiple * price;
    for (size_t mask = 0; mask < relative.size(); ++mask)
      other.lambda_of_mask[task.masks[mask]] = other.lambda * relative[mask];
    const double cost = costs_of(task, trials, other).per_accepted(task);
    if (cost < best) {
      best = cost;
      rule = other;
    }
  }
  return rule;
}

// What each look saw of each trajectory.
std::vector<Trial> trials_of(const Recording& recording, size_t judge, const std::vector<int64_t>& looks,
                             const std::vector<bool>& kept) {
  const RecordingFacts& facts = recording.facts;
  std::vector<Trial> trials;
  for (size_t i = 0; i < recording.trajectories.size(); ++i) {
    const Trajectory& trajectory = recording.trajectories[i];
    Trial trial{trajectory.condition, kept[i], {}};
    for (const int64_t step : looks) {
      check_input(step >= -1 && step < facts.steps() - 1, Fault::kUsage, "looks: expected steps -1 to ",
                  facts.steps() - 2, ", found ", step);
      const float score = trajectory.score_after(judge, step);
      check_input(!std::isnan(score), Fault::kUsage, "looks: step ", step, " was not scored; look every ",
                  facts.score_every, " steps");
      trial.scores.push_back(double(score));
    }
    trials.push_back(std::move(trial));
  }
  return trials;
}

// Costs on each fold of a rule fitted without it. A fold has whole masks, or of each mask some trajectories.
Costs held_out_costs(const Task& task, const std::vector<Trial>& trials, const RestartRule& empty_rule, int64_t folds) {
  Costs costs(task);
  for (int64_t fold = 0; fold < folds; ++fold) {
    std::vector<Trial> inside, outside;
    for (size_t i = 0; i < trials.size(); ++i) {
      const int64_t part = task.equal_quota ? int64_t(i / task.masks.size()) : trials[i].mask;
      (part % folds == fold ? outside : inside).push_back(trials[i]);
    }
    add_costs(task, outside, fitted(task, inside, empty_rule), costs);
  }
  check_input(std::isfinite(costs.pooled()), Fault::kUsage,
              "rule: no held-out picture is accepted; record more trajectories");
  return costs;
}

}  // namespace

RestartLook fit_calibration(int64_t step, const std::vector<double>& scores, const std::vector<bool>& outcomes) {
  constexpr double kPull = 1;  // as much as four undecided trajectories
  std::vector<double> logits, targets;
  for (const double score : scores) logits.push_back(logit_of(score));
  for (const bool outcome : outcomes) targets.push_back(outcome ? 1 : 0);
  const Platt platt = fit_logistic(logits, targets, kPull);
  return {step, platt.offset, platt.slope};
}

std::vector<int64_t> spread_looks(int64_t steps, int64_t count) {
  std::set<int64_t> looks;
  for (int64_t i = 0; i < count; ++i) {  // calls 1 .. steps - 1, evenly on a log scale
    const double share = count > 1 ? double(i) / double(count - 1) : 0;
    const int64_t calls = std::llround(std::pow(std::max(1.0, 0.8 * double(steps)), share));
    if (calls < steps) looks.insert(calls - 1);
  }
  return {looks.begin(), looks.end()};
}

RestartRule fit_restart(const Recording& recording, const RestartFitOptions& options) {
  const RecordingFacts& facts = recording.facts;
  const size_t judge = facts.judge(options.judges.judge);
  RestartRule rule;
  rule.judge = options.judges.judge;
  rule.on = facts.judges[judge].on;
  rule.steps = facts.steps();
  rule.deepcache = facts.deepcache;
  rule.mean_start = facts.mean_start;
  Task task;
  task.masks = facts.masks;
  task.looks = options.looks.empty() ? spread_looks(facts.steps(), 8) : options.looks;
  task.calls_per_step = calls_per_step(facts.guidance);
  task.equal_quota = options.equal_quota;

  SamplerJob job = recorded_job(recording);
  job.score_on = rule.on;
  job.tau = options.tau;
  const Fates fates = fates_of(recording, job, options.judges);
  const SamplerTotals& totals = fates.totals;
  const std::vector<Trial> trials = trials_of(recording, judge, task.looks, fates.kept);
  std::set<int64_t> masks;
  for (const Trial& trial : trials) masks.insert(trial.mask);
  check_input(totals.kept > 0 && totals.kept < totals.trajectories, Fault::kUsage, "rule: expected some of the ",
              totals.trajectories, " finished pictures to reach tau ", options.tau, ", found ", totals.kept,
              "; choose another tau");
  const int64_t wanted =
      options.equal_quota ? int64_t(trials.size() / std::max<size_t>(1, task.masks.size())) : int64_t(masks.size());
  const int64_t folds = std::min(options.folds, wanted);
  check_input(folds >= 2, Fault::kUsage, "rule: expected at least 2 ",
              options.equal_quota ? "trajectories of each mask" : "masks", ", found ", wanted);

  const RestartRule empty_rule = rule;
  rule = fitted(task, trials, empty_rule);
  const Costs held_out = held_out_costs(task, trials, empty_rule, folds);
  rule.fit.trajectories = totals.trajectories;
  rule.fit.masks = int64_t(masks.size());
  rule.fit.tau = options.tau;
  rule.fit.accepted_share = double(totals.kept) / double(totals.trajectories);
  RestartRule none = rule;
  none.lambda = 0;
  none.lambda_of_mask.clear();
  rule.fit.posthoc_cost = costs_of(task, trials, none).per_accepted(task);
  rule.fit.fitted_cost = costs_of(task, trials, rule).per_accepted(task);
  rule.fit.held_out_cost = held_out.per_accepted(task);
  return rule;
}

}  // namespace echodiff
