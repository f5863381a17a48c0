// What dsample is asked to do: its flags, bound to one struct, and what follows from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "quality/sampling/policy/paper.h"
#include "quality/sampling/policy/policy.h"
#include "quality/sampling/policy/smc.h"
#include "quality/sampling/sampler.h"

namespace echodiff {

struct SampleSettings {
  std::string model, masks, out, scorer, noise, trace, planes, shard = "0/1";
  std::string ema = "on", sampler = "ddpm", clip = "auto", policy = "none", score_on = "x0hat", keep = "finish";
  std::string schedule = "run", predict = "run", variance = "run";
  std::optional<int64_t> count, sample_steps, accept, timesteps, image_size;
  int64_t batch = 8, tail_steps = 10, deepcache = 1;
  double eta = 0, guidance = 1, tau = 0.95, discard_rate = 0.5, discard_at = 0.2;
  PaperOptions paper;
  bool keep_discarded = false;

  std::string value, rule, start_images;
  std::optional<int64_t> accept_per_mask;
  int64_t group = 8, probe_call = 1;
  double keep_share = 0.5, start = 0.5;
  std::string rungs = "0.1,0.25,0.5";
  SmcOptions smc;

  std::string record, thresholds;
  std::vector<std::string> judges;  // record: NAME=RUN or NAME=RUN:xt; replay: the one NAME
  int64_t thumbnails = 4, per_shard = 64, score_every = 1;

  std::string adadiff, fit_adadiff;
  double adadiff_error = 0.02;

  std::string simulate, final_judge, fit, looks;

  std::string ceiling, branch_after = "0,1,5";
  int64_t branches = 8;
};

void declare_flags(Options& options, SampleSettings& settings);
// Flags that don't fit together: Error(kUsage).
void check_flags(const SampleSettings& settings);

void declare_policy(Options& options, SampleSettings& settings);
Policy make_policy(const SampleSettings& settings, uint64_t seed, const std::vector<std::string>& masks);
bool ranks_groups(const SampleSettings& settings);  // does its policy rank trajectories of one mask?

struct JudgeFlag {
  std::string name, run;
  ScoreOn on = ScoreOn::x0hat;
};
JudgeFlag parse_judge(const std::string& text);

struct Shard {
  int64_t index = 0, of = 1;
};
Shard parse_shard(const std::string& text);

}  // namespace echodiff
