// The restart rule: go on iff v_t >= lambda * remaining calls, else begin another trajectory. v_t is the
// chance that the finished picture is accepted; lambda is the price of a call in accepted pictures. One number takes
// the place of window, patience and tau: it is fitted on a recording (restart_fit.h) and kept in a file.
//
//   {"kind": "restart", "judge": "value", "on": "x0hat", "steps": 20, "deepcache": 1, "mean_start": 0, "lambda": 0.02,
//    "fit": {...}, "looks": [{"step": 0, "offset": -0.1, "slope": 1.2}, ...],
//    "masks": [{"file": "7.png", "lambda": 0.004}, ...]}
// At each look v = sigmoid(offset + slope * logit(score)): the judge's score at that step, calibrated.
// `masks` is there where the rule is for an equal quota of each mask: a call is worth less where few pictures are
// accepted, and under one price for all a hard mask would never be finished. Other masks are ruled by `lambda`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "quality/sampling/policy/policy.h"

namespace echodiff {

struct RestartLook {
  int64_t step = 0;              // after this step; -1: before the first call
  double offset = 0, slope = 1;  // of the calibration
};

// How it was fitted; costs are network calls per accepted picture.
struct RestartFit {
  int64_t trajectories = 0, masks = 0;
  double tau = 0, accepted_share = 0;  // of finished pictures, without the rule
  double posthoc_cost = 0, fitted_cost = 0,
         held_out_cost = 0;  // held out: each fold by the rule of the others
};

struct RestartRule {
  std::string judge;
  ScoreOn on = ScoreOn::x0hat;
  int64_t steps = 0, deepcache = 1, mean_start = 0;  // of the sampler
  double lambda = 0;
  std::vector<RestartLook> looks;                // by step
  std::map<std::string, double> lambda_of_mask;  // by file name
  RestartFit fit;
};

double calibrated(const RestartLook& look, double score);

// `masks`: file names of the job's conditions, in order; may be empty. Throws Error(kUsage) for a rule without looks.
Policy restart_policy(const RestartRule& rule, const std::vector<std::string>& masks);

// Strict: Error kMissingInput, kBadInput.
RestartRule read_restart_rule(const std::string& path);
void write_restart_rule(const std::string& path, const RestartRule& rule);

}  // namespace echodiff
