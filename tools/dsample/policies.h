// The policies, a row each: a new one is a file pair in quality/sampling/policy/, a row in policies.cpp, and here its
// constants, where it has flags of its own.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "dsample/setup.h"
#include "quality/sampling/policy/paper.h"

namespace echodiff {

struct PolicySettings {
  std::string policy = "none";
  double tau = 0.95;
  std::optional<int64_t> accept, accept_per_mask;
  bool keep_discarded = false;

  PaperOptions paper;  // warm_up and every: smc's too; tau: as above
  std::string keep = "finish", rungs = "0.1,0.25,0.5", rule, start_images;
  int64_t tail_steps = 10, group = 8, probe_call = 1;
  double keep_share = 0.5, smc_lambda = 10, start = 0.5, discard_rate = 0.5, discard_at = 0.2;
};

// What a policy can be made of besides its settings.
struct PolicyInputs {
  const SamplerJob& job;
  uint64_t seed = 0;
  std::vector<std::string> masks;            // files of the job's conditions
  std::function<std::vector<bool>()> fates;  // of a recording: which finished pictures pass
};

using PolicyFlag = void (*)(Options& options, PolicySettings& settings);

enum PolicyTrait : unsigned {
  kLive = 1,         // rules on a network's trajectories
  kReplayed = 2,     // and on recorded ones
  kRanks = 4,        // trajectories of one mask together: takes --group, and no shards
  kUnjudged = 8,     // needs no judge
  kLetsAllEnd = 16,  // and end alone: their every step can be kept
  kFromAFile = 32    // made of what may not be there: can't be made to check its flags
};

struct PolicyRow {
  const char *name, *summary;
  unsigned traits;
  PolicyFlag flags[4];  // several rows may share one
  Policy (*make)(const PolicySettings& settings, const PolicyInputs& inputs);
  // What its flags must hold besides their ranges: throws Error(kUsage).
  void (*check)(const PolicySettings& settings, bool replayed) = nullptr;
  // Where trajectories don't begin at x_T: changes the job's plan and noise.
  void (*begin)(const PolicySettings& settings, const SampledModel& model, const Conditions& conditions,
                const std::string& masks, SamplerJob& job) = nullptr;

  bool is(PolicyTrait trait) const { return (traits & trait) != 0; }
};
const PolicyRow& policy_row(const PolicySettings& settings);

// --policy and all flags of the policies that run live, or replayed; with the rules on them.
void declare_policies(Options& options, PolicySettings& settings, bool replayed);

// Sets the policy, and the rest that the settings say of the job. Throws Error: kUsage, kMissingInput, kBadInput.
void apply_policy(const PolicySettings& settings, uint64_t seed, const std::vector<std::string>& masks, SamplerJob& job,
                  const std::function<std::vector<bool>()>& fates = {});

}  // namespace echodiff
