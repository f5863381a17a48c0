#include "dsample/policies.h"

#include <algorithm>

#include "quality/sampling/policy/es_ddpm.h"
#include "quality/sampling/policy/none.h"
#include "quality/sampling/policy/oracle.h"
#include "quality/sampling/policy/posthoc.h"
#include "quality/sampling/policy/random.h"
#include "quality/sampling/policy/ranking.h"
#include "quality/sampling/policy/restart.h"
#include "quality/sampling/policy/smc.h"
#include "tensor/io/text.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

using Settings = PolicySettings;
using Inputs = PolicyInputs;

// Flags, each declared once; their help names the policies that take them.
void group(Options& o, Settings& s) {
  o.add("--group", s.group, "trajectories of one mask that are ranked together", {2, 100000}, "trajectories");
}
void keep_share(Options& o, Settings& s) {
  o.add("--keep-share", s.keep_share, "share that goes on (halving: at each rung)", {0, 1}, "fraction");
}
void rungs(Options& o, Settings& s) { o.add("--rungs", s.rungs, "ranks after these shares of the calls", "SHARE,..."); }
void probe_call(Options& o, Settings& s) {
  o.add("--probe-call", s.probe_call, "ranks after this call", {1, 1000000}, "calls");
}
void smc_lambda(Options& o, Settings& s) {
  o.add("--smc-lambda", s.smc_lambda, "weight of the score in exp(lambda * gain)", {0, 1000000}, "per score");
}
void rule(Options& o, Settings& s) { o.add("--rule", s.rule, "the rule that dsample fit wrote", "FILE"); }
void start(Options& o, Settings& s) {
  o.add("--start", s.start, "T' / T, where a trajectory begins", {0, 1}, "fraction");
  o.add("--start-images", s.start_images, "data-set folder of the pictures to begin with, named as the masks", "DIR",
        "as --masks");
}
void discard_rate(Options& o, Settings& s) {
  o.add("--discard-rate", s.discard_rate, "share dropped", {0, 1}, "fraction");
}
void discard_at(Options& o, Settings& s) {
  o.add("--discard-at", s.discard_at, "after this share of the steps", {0, 1}, "fraction");
}
void early(Options& o, Settings& s) {
  o.add_choice("--keep", s.keep, "what is kept of an early accept: the finished picture, the predicted one or x_t",
               {"finish", "x0hat", "xt"});
  o.add("--tail-steps", s.tail_steps,
        "with --keep finish: DDIM steps that finish an early accept, where that is shorter; 0: the sampler goes on",
        {0, 1000000}, "steps");
  o.add("--window", s.paper.window, "scores whose best must improve", {1, 1000000}, "scores");
  o.add("--delta", s.paper.delta, "least improvement over the best before the window", {0, 1}, "score");
}
void monitoring(Options& o, Settings& s) {
  o.add("--warm-up", s.paper.warm_up, "share of the steps before the first score", {0, 1}, "fraction");
  o.add("--every", s.paper.every, "steps from one score to the next", {1, 1000000}, "steps");
}

void check_paper(const Settings& s, bool replayed) {
  check_flags(!replayed || (s.tail_steps == 0 && s.keep == "finish"),
              "--policy paper: a recording holds no tail, add --tail-steps 0 --keep finish");
}
void check_restart(const Settings& s, bool) {
  check_flags(!s.rule.empty(), "--rule: --policy restart needs one, add --rule FILE");
}

// A restart rule holds for the sampler it was fitted on.
Policy make_restart(const Settings& settings, const Inputs& inputs) {
  const RestartRule fitted = read_restart_rule(settings.rule);
  const SamplerJob& job = inputs.job;
  check_input(fitted.steps == job.plan.count(), Fault::kUsage, settings.rule, ": was fitted on ", fitted.steps,
              " steps, found a sampler of ", job.plan.count(), "; fit it on a recording of this sampler");
  check_input(fitted.deepcache == job.whole_every, Fault::kUsage, settings.rule, ": was fitted for --deepcache ",
              fitted.deepcache, ", found ", job.whole_every, "; fit it on a recording made with --deepcache ",
              job.whole_every);
  check_input(fitted.mean_start == job.mean_start, Fault::kUsage, settings.rule, ": was fitted for --mean-start ",
              fitted.mean_start, ", found ", job.mean_start, "; fit it on a recording that begins as this sampler");
  check_input(!job.exits, Fault::kUsage, settings.rule, ": was fitted without --adadiff, leave it out");
  check_input(fitted.on == job.score_on, Fault::kUsage, settings.rule,
              ": was fitted on scores of the other of x0hat and xt; change --score-on");
  return restart_policy(fitted, inputs.masks);
}

Policy make_none(const Settings&, const Inputs&) { return none_policy(); }
Policy make_posthoc(const Settings&, const Inputs&) { return posthoc_policy(); }
Policy make_es_ddpm(const Settings&, const Inputs&) { return es_ddpm_policy(); }
Policy make_paper(const Settings& s, const Inputs&) {
  return paper_policy({s.tau, s.paper.window, s.paper.delta, s.paper.warm_up, s.paper.every});
}
Policy make_best_of(const Settings& s, const Inputs&) { return best_of_policy(s.group); }
Policy make_halving(const Settings& s, const Inputs&) {
  return halving_policy({s.group, s.keep_share, parse_numbers(s.rungs, "--rungs")});
}
Policy make_screen(const Settings& s, const Inputs&) { return screen_policy(s.group, s.keep_share); }
Policy make_probe(const Settings& s, const Inputs&) { return probe_policy(s.group, s.keep_share, s.probe_call); }
Policy make_smc(const Settings& s, const Inputs& of) {
  return smc_policy({s.group, s.smc_lambda, s.paper.warm_up, s.paper.every, of.seed});
}
Policy make_random(const Settings& s, const Inputs& of) {
  return random_policy({s.discard_rate, s.discard_at, of.seed});
}
Policy make_oracle(const Settings& s, const Inputs& of) { return oracle_policy(of.fates(), s.discard_at); }

void begin_with_pictures(const Settings& settings, const SampledModel& model, const Conditions& conditions,
                         const std::string& masks, SamplerJob& job) {
  const std::string& folder = settings.start_images.empty() ? masks : settings.start_images;
  check_present(folder, "a data-set folder");
  std::vector<Tensor> pictures;
  for (const std::string& file : conditions.files) {
    const std::optional<GrayImage> image = picture_of_mask(folder, file, model.run);
    check_input(image.has_value(), Fault::kMissingInput, folder, "/images/", file,
                ": no such file, expected a picture for ", "every mask");
    pictures.push_back(to_tensor({&*image}));
  }
  const int64_t last = std::max<int64_t>(1, int64_t(settings.start * double(model.run.T))) - 1;
  job.plan = es_ddpm_plan(model.schedule, model.options, last);
  job.noise = es_ddpm_start(model.schedule, job.plan.steps[0].t, std::move(pictures), job.noise);
}

constexpr unsigned kBoth = kLive | kReplayed;
const PolicyRow kPolicies[] = {
    {"none", "keep all", kBoth | kUnjudged | kLetsAllEnd, {}, make_none},
    {"posthoc", "keep iff the finished picture scores tau", kBoth | kLetsAllEnd, {}, make_posthoc},
    {"paper", "accept on the way at tau, drop what stagnates", kBoth, {early, monitoring}, make_paper, check_paper},
    {"restart", "go on iff v >= lambda * remaining calls", kBoth | kFromAFile, {rule}, make_restart, check_restart},
    {"best-of-n", "finish a group of a mask, keep the best", kBoth | kRanks, {}, make_best_of},
    {"halving", "the best of a group go on at each rung", kBoth | kRanks, {keep_share, rungs}, make_halving},
    {"screen", "the best of a group go on from x_T", kBoth | kRanks, {keep_share}, make_screen},
    {"probe", "the best of a group go on after one call", kBoth | kRanks, {keep_share, probe_call}, make_probe},
    {"smc", "resample a group by score", kLive | kRanks, {smc_lambda, monitoring}, make_smc},
    {"es-ddpm", "begin with a noised picture", kLive, {start}, make_es_ddpm, nullptr, begin_with_pictures},
    {"random", "drop a share blindly", kBoth, {discard_rate, discard_at}, make_random},
    {"oracle", "drop what will fail", kReplayed | kFromAFile, {discard_at}, make_oracle},
};

bool takes(const PolicyRow& row, PolicyFlag flag) {
  return flag == group ? row.is(kRanks) : std::find(row.flags, row.flags + 4, flag) != row.flags + 4;
}

}  // namespace

const PolicyRow& policy_row(const PolicySettings& settings) {
  return *std::find_if(std::begin(kPolicies), std::end(kPolicies),
                       [&](const PolicyRow& row) { return settings.policy == row.name; });
}

void declare_policies(Options& options, PolicySettings& settings, bool replayed) {
  std::vector<const PolicyRow*> rows;
  std::vector<std::string> names;
  std::vector<PolicyFlag> flags{group};
  std::string summaries;
  for (const PolicyRow& row : kPolicies) {
    if (!row.is(replayed ? kReplayed : kLive)) continue;
    rows.push_back(&row);
    names.push_back(row.name);
    summaries += concat_message(!summaries.empty() ? " | " : "", row.name, ": ", row.summary);
    for (const PolicyFlag flag : row.flags)
      if (flag && std::find(flags.begin(), flags.end(), flag) == flags.end()) flags.push_back(flag);
  }
  options.add_choice("--policy", settings.policy, summaries, names);
  options.add("--tau", settings.tau, "score that accepts", {0, 1}, "score");
  options.add("--accept", settings.accept, "stop after so many kept, in index order (of this shard)", {1, 1000000000},
              "pictures", "no limit");
  options.add("--accept-per-mask", settings.accept_per_mask, "no more than so many kept of each mask, in index order",
              {1, 1000000000}, "pictures", "no limit");
  options.add_flag("--keep-discarded", settings.keep_discarded,
                   "write discarded/NNNNNN.png too (of one dropped on its way: the predicted picture)");
  for (const PolicyFlag flag : flags) {
    std::vector<std::string> takers;
    for (const PolicyRow* row : rows)
      if (takes(*row, flag)) takers.push_back(row->name);
    const size_t before = options.options().size();
    flag(options, settings);
    for (size_t i = before; i < options.options().size(); ++i)
      options.options()[i]->help.insert(0, join(takers, ", ") + ": ");
  }
  options.rule([&settings, replayed] {
    const PolicyRow& row = policy_row(settings);
    if (row.check) row.check(settings, replayed);
    if (!row.is(kFromAFile)) row.make(settings, {SamplerJob(), 0, {}, {}});
  });
}

void apply_policy(const PolicySettings& settings, uint64_t seed, const std::vector<std::string>& masks, SamplerJob& job,
                  const std::function<std::vector<bool>()>& fates) {
  job.accept = settings.accept;
  job.accept_per_mask = settings.accept_per_mask;
  job.tau = settings.tau;
  job.keep = settings.keep == "xt" ? Keep::xt : settings.keep == "x0hat" ? Keep::x0hat : Keep::finish;
  job.policy = policy_row(settings).make(settings, {job, seed, masks, fates});
}

}  // namespace echodiff
