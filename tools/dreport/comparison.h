// Sampling runs side by side: those of one policy and sampler, differing in seed only, are one entry with intervals.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dreport/runs.h"
#include "quality/statistics/estimates.h"

namespace echodiff {

// One policy under one sampler.
struct PolicyResult {
  std::string name;        // policy_text, and what else tells it from the other entries
  std::string short_name;  // without what all entries share: "probe"
  std::vector<const SamplingRun*> runs;
  int64_t trajectories = 0, accepted = 0, distinct = 0;  // distinct: accepted pictures no two of which are equal
  Estimate calls_per_accepted;                // per accepted, distinct picture; every trajectory's calls count
  Estimate calls_per_good;                    // per accepted, distinct picture that the rule calls good
  Estimate seconds_per_accepted;              // the calls' interval at the runs' seconds per call
  Estimate calls_per_kept, seconds_per_kept;  // the same where equal pictures count each
  Estimate times_baseline;                    // calls_per_kept over that of the honest baseline, mask by mask
  Proportion masks_reached;                   // masks with an accepted picture, of those that a trajectory began for
  Proportion acceptance;                      // accepted of the trajectories
  Proportion precision;                       // good by the rule, of the accepted pictures measured
  Proportion missed;                          // good by the rule, of the discarded pictures that were kept
  bool guided() const { return runs.front()->guided(); }
  const char* unit() const { return name_of(runs.front()->unit.kind); }  // that costs are resampled by, seed by seed
};

// Sampled, not replayed from a recording.
bool is_live(const PolicyResult& result);

// The evaluated run that holds most of the policy's runs and no others; nulls where none does.
struct EvaluatedPolicy {
  const Evaluation* evaluation = nullptr;
  const EvaluatedRun* run = nullptr;
};
EvaluatedPolicy evaluated(const PolicyResult& policy, const std::vector<Evaluation>& evaluations);
// How many of the policy's runs the evaluated run holds; 0 where it holds others too.
size_t shared_runs(const PolicyResult& policy, const EvaluatedRun& run);

// Of the live policies that count, the one that pays the fewest calls per kept picture; null for none. One that kept
// nothing pays infinitely many.
const PolicyResult* cheapest(const std::vector<PolicyResult>& results, bool (*counts)(const PolicyResult&));
// The honest baseline: the cheapest live posthoc that sampled with whole calls only; null for none.
const PolicyResult* baseline_of(const std::vector<PolicyResult>& results);

// Runs are pooled where their summary and config.toml differ in seed and in how they were worked off only. In the runs'
// order. Only trajectories that have lines in samples.jsonl count. Live policies on the same masks are compared with
// baseline_of.
std::vector<PolicyResult> compare_policies(const RunSet& runs);

}  // namespace echodiff
