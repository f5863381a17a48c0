// The flags of dsample's policies, and the policy they ask for.
#include <algorithm>
#include <cmath>

#include "dsample/settings.h"
#include "kernels/error.h"
#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/posthoc.h"
#include "quality/sampling/policy/random.h"
#include "quality/sampling/policy/ranking.h"
#include "quality/sampling/policy/restart.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

void declare_rankings(Options& options, SampleSettings& settings) {
  options.add("--group", settings.group,
              "best-of-n, halving, screen, probe, smc: trajectories of one mask that are ranked together", {2, 100000},
              "trajectories");
  options.add("--keep-share", settings.keep_share, "halving (at each rung), screen, probe: share that goes on", {0, 1},
              "fraction");
  options.add("--rungs", settings.rungs, "halving: ranks after these shares of the calls", "SHARE,...");
  options.add("--probe-call", settings.probe_call, "probe: ranks after this call", {1, 1000000}, "calls");
  options.add("--smc-lambda", settings.smc.lambda, "smc: weight of the score in exp(lambda * gain)", {0, 1000000},
              "per score");
}

void declare_paper(Options& options, SampleSettings& settings) {
  options.add_choice("--score-on", settings.score_on,
                     "what is scored on the way, the predicted clean picture or x_t itself (the paper's words)",
                     {"x0hat", "xt"});
  options.add_choice("--keep", settings.keep,
                     "paper: what is kept of an early accept: the finished picture, the predicted one or x_t",
                     {"finish", "x0hat", "xt"});
  options.add("--tail-steps", settings.tail_steps,
              "finish: DDIM steps that finish an early accept, where that is shorter; 0: the sampler goes on",
              {0, 1000000}, "steps");
  options.add("--window", settings.paper.window, "paper: scores whose best must improve", {1, 1000000}, "scores");
  options.add("--delta", settings.paper.delta, "paper: least improvement over the best before the window", {0, 1},
              "score");
  options.add("--warm-up", settings.paper.warm_up, "paper, smc: share of the steps before the first score", {0, 1},
              "fraction");
  options.add("--every", settings.paper.every, "paper, smc: steps from one score to the next", {1, 1000000}, "steps");
}

}  // namespace

void declare_policy(Options& options, SampleSettings& settings) {
  options.add_choice(
      "--policy", settings.policy,
      "none: keep all | posthoc: keep iff the finished picture scores tau | paper: score on the way, "
      "accept at tau, drop what stagnates | restart: go on iff v >= lambda * remaining calls | best-of-n, "
      "halving, screen, probe: rank the trajectories of a mask | smc: resample them by score | es-ddpm: "
      "begin with a noised picture | random: drop a share blindly | oracle: drop what will fail "
      "(--simulate only)",
      {"none", "posthoc", "paper", "restart", "best-of-n", "halving", "screen", "probe", "smc", "es-ddpm", "random",
       "oracle"});
  options.add("--scorer", settings.scorer, "run directory of dtrain scorer: judges the finished picture", "RUN");
  options.add("--value", settings.value, "run of the judge on the way, where it is another", "RUN", "as --scorer");
  options.add("--tau", settings.tau, "score that accepts", {0, 1}, "score");
  options.add("--accept", settings.accept, "stop after so many kept, in index order (of this shard)", {1, 1000000000},
              "pictures", "no limit");
  options.add("--accept-per-mask", settings.accept_per_mask, "no more than so many kept of each mask, in index order",
              {1, 1000000000}, "pictures", "no limit");
  options.add("--rule", settings.rule, "restart: the rule that --fit wrote", "FILE");
  declare_rankings(options, settings);
  declare_paper(options, settings);
  options.add("--start", settings.start, "es-ddpm: T' / T, where a trajectory begins", {0, 1}, "fraction");
  options.add("--start-images", settings.start_images,
              "es-ddpm: data-set folder of the pictures to begin with, named as the masks", "DIR", "as --masks");
  options.add("--discard-rate", settings.discard_rate, "random: share dropped", {0, 1}, "fraction");
  options.add("--discard-at", settings.discard_at, "random, oracle: after this share of the steps", {0, 1}, "fraction");
  options.add_flag("--keep-discarded", settings.keep_discarded,
                   "write discarded/NNNNNN.png too (of one dropped on its way: the predicted picture)");
}

bool ranks_groups(const SampleSettings& settings) {
  return settings.policy == "best-of-n" || settings.policy == "halving" || settings.policy == "screen" ||
         settings.policy == "probe" || settings.policy == "smc";
}

Policy make_policy(const SampleSettings& settings, uint64_t seed, const std::vector<std::string>& masks) {
  const std::string& name = settings.policy;
  if (name == "none") return none_policy();
  if (name == "posthoc") return posthoc_policy();
  if (name == "es-ddpm") return es_ddpm_policy();
  if (name == "random") return random_policy({settings.discard_rate, settings.discard_at, seed});
  if (name == "best-of-n") return best_of_policy(settings.group);
  if (name == "screen") return screen_policy(settings.group, settings.keep_share);
  if (name == "probe") return probe_policy(settings.group, settings.keep_share, settings.probe_call);
  if (name == "halving")
    return halving_policy({settings.group, settings.keep_share, parse_numbers(settings.rungs, "--rungs")});
  if (name == "smc")
    return smc_policy({settings.group, settings.smc.lambda, settings.paper.warm_up, settings.paper.every, seed});
  if (name == "restart") return restart_policy(read_restart_rule(settings.rule), masks);
  check(name == "paper", "dsample: policy ", name, " is made elsewhere");
  PaperOptions options = settings.paper;
  options.tau = settings.tau;
  return paper_policy(options);
}

}  // namespace echodiff
