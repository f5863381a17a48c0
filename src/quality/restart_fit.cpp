#include "quality/restart_fit.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/error.h"
#include "quality/calibration.h"

namespace echodiff {
namespace {

constexpr double kMultiples[] = {0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25};

struct Trial {
  int64_t mask = 0;
  bool accepted = false;       // once finished
  std::vector<double> scores;  // of each look
};

struct Cost {
  double calls = 0, accepted = 0;
  double per_accepted() const { return accepted > 0 ? calls / accepted : INFINITY; }
};

// Whole trajectories that the rule goes on with, and parts of those it drops.
void add_costs(const std::vector<Trial>& trials, const RestartRule& rule, int64_t calls_per_step, Cost& cost) {
  const Policy policy = restart_policy(rule);
  for (const Trial& trial : trials) {
    int64_t taken = rule.steps;
    std::vector<Score> scores(1);
    for (size_t i = 0; i < rule.looks.size(); ++i) {
      const int64_t step = rule.looks[i].step;
      scores[0].value = trial.scores[i];
      const Moment moment{scores, 0, step, rule.steps, (rule.steps - step - 1) * calls_per_step};
      if (policy.decide(moment).verdict == Verdict::kContinue) continue;
      taken = step + 1;
      break;
    }
    cost.calls += double(taken * calls_per_step);
    cost.accepted += taken == rule.steps && trial.accepted ? 1 : 0;
  }
}

Cost cost_of(const std::vector<Trial>& trials, const RestartRule& rule, int64_t calls_per_step) {
  Cost cost;
  add_costs(trials, rule, calls_per_step, cost);
  return cost;
}

RestartRule fitted(const std::vector<Trial>& trials, const std::vector<int64_t>& looks, RestartRule rule,
                   int64_t calls_per_step) {
  std::vector<bool> outcomes;
  for (const Trial& trial : trials) outcomes.push_back(trial.accepted);
  rule.looks.clear();
  for (size_t i = 0; i < looks.size(); ++i) {
    std::vector<double> scores;
    for (const Trial& trial : trials) scores.push_back(trial.scores[i]);
    rule.looks.push_back(fit_calibration(looks[i], scores, outcomes));
  }
  rule.lambda = 0;
  for (int iteration = 0; iteration < 30; ++iteration) {
    const double price = 1 / cost_of(trials, rule, calls_per_step).per_accepted();
    if (price <= rule.lambda) break;
    rule.lambda = price;
  }
  const double price = rule.lambda;
  double best = cost_of(trials, rule, calls_per_step).per_accepted();
  for (const double multiple : kMultiples) {
    RestartRule other = rule;
    other.lambda = multiple * price;
    const double cost = cost_of(trials, other, calls_per_step).per_accepted();
    if (cost < best) {
      best = cost;
      rule.lambda = other.lambda;
    }
  }
  return rule;
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
  const std::vector<int64_t> looks = options.looks.empty() ? spread_looks(facts.steps(), 8) : options.looks;
  const int64_t calls_per_step = facts.guidance == 1 ? 1 : 2;

  std::vector<Trial> trials(recording.chains.size());
  SamplerJob job = recorded_job(recording);
  job.score_on = rule.on;
  job.tau = options.tau;
  const Fates fates = fates_of(recording, job, options.judges);
  const SamplerTotals& totals = fates.totals;
  std::set<int64_t> masks;
  for (size_t i = 0; i < trials.size(); ++i) {
    const Chain& chain = recording.chains[i];
    trials[i].mask = chain.condition;
    trials[i].accepted = fates.kept[i];
    masks.insert(chain.condition);
    for (const int64_t step : looks) {
      check_input(step >= -1 && step < facts.steps() - 1, Fault::kUsage, "--looks: expected steps -1 to ",
                  facts.steps() - 2, ", found ", step);
      const float score = chain.score_after(judge, step);
      check_input(!std::isnan(score), Fault::kUsage, "--looks: step ", step, " was not scored; look every ",
                  facts.score_every, " steps");
      trials[i].scores.push_back(double(score));
    }
  }
  check_input(totals.kept > 0 && totals.kept < totals.trajectories, Fault::kUsage, "--fit: expected some of the ",
              totals.trajectories, " finished pictures to reach tau ", options.tau, ", found ", totals.kept,
              "; choose another tau");
  const int64_t folds = std::min(options.folds, int64_t(masks.size()));
  check_input(folds >= 2, Fault::kUsage, "--fit: expected at least 2 masks and folds, found ", masks.size(), " and ",
              options.folds);

  const RestartRule empty_rule = rule;
  rule = fitted(trials, looks, empty_rule, calls_per_step);
  Cost held_out;
  for (int64_t fold = 0; fold < folds; ++fold) {
    std::vector<Trial> inside, outside;
    for (const Trial& trial : trials) (trial.mask % folds == fold ? outside : inside).push_back(trial);
    add_costs(outside, fitted(inside, looks, empty_rule, calls_per_step), calls_per_step, held_out);
  }
  check_input(held_out.accepted > 0, Fault::kUsage, "--fit: no held-out picture is accepted; record more trajectories");
  rule.fit.trajectories = totals.trajectories;
  rule.fit.masks = int64_t(masks.size());
  rule.fit.tau = options.tau;
  rule.fit.accepted_share = double(totals.kept) / double(totals.trajectories);
  rule.fit.posthoc_cost = double(totals.unet_calls) / double(totals.kept);
  rule.fit.fitted_cost = cost_of(trials, rule, calls_per_step).per_accepted();
  rule.fit.held_out_cost = held_out.per_accepted();
  return rule;
}

}  // namespace echodiff
