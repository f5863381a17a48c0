#include <algorithm>
#include <sstream>

#include "dsample/settings.h"
#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

void declare_sampler(Options& options, SampleSettings& settings) {
  options.add_choice("--sampler", settings.sampler, "reverse process", {"ddpm", "ddim", "dpmpp"});
  options.add("--sample-steps", settings.sample_steps, "reverse steps, evenly spaced in the time steps of training",
              {1, 1000000}, "steps", "ddpm: all, ddim: 50, dpmpp: 20");
  options.add("--eta", settings.eta, "ddim: share of fresh noise", {0, 1}, "fraction");
  options.add("--guidance", settings.guidance,
              "classifier-free guidance over the organ masks; other than 1: two calls a step", {0, 100}, "factor");
  options.add("--deepcache", settings.deepcache,
              "compute the network whole in every so many-th step only; between them its outermost level alone, with "
              "what the deeper ones said last; 1: off",
              {1, 1000000}, "steps");
  options.add("--adadiff", settings.adadiff,
              "so too where this rule expects less error than --adadiff-error; --fit-adadiff wrote it", "FILE");
  options.add("--adadiff-error", settings.adadiff_error, "error of the network's answer that --adadiff allows",
              {0, 100}, "root mean square");
  options.add("--fit-adadiff", settings.fit_adadiff,
              "write the rule for this sampler, fitted on --count trajectories, in place of --out", "FILE");
  options.add_choice("--clip", settings.clip, "clamp the predicted picture in every step; auto: off for dpmpp only",
                     {"auto", "on", "off"});
  options.add_choice("--variance", settings.variance, "ddpm: variance of a step; run: as the model says",
                     {"run", "posterior", "beta", "learned"});
  options.add_choice("--schedule", settings.schedule, "noise schedule; run: as the model says",
                     {"run", "linear", "cosine", "sigmoid"});
  options.add_choice("--predict", settings.predict, "what the network answers; run: as the model says",
                     {"run", "eps", "v", "x0"});
  options.add("--timesteps", settings.timesteps, "time steps of training", {1, 1000000}, "steps", "as the model says");
}

void declare_recording(Options& options, SampleSettings& settings) {
  options.add(
      "--record", settings.record,
      "write whole trajectories and their scores (recording.json, chains-*.safetensors) in place of --out; goes "
      "on where it stopped",
      "REC");
  options.add_list("--judge", settings.judges,
                   "record: what scores every step, x0_hat or (with :xt) x_t; replay: NAME, the judge on the way",
                   "NAME=RUN[:xt]");
  options.add("--thumbnails", settings.thumbnails, "record: steps whose predicted picture is kept", {0, 1000}, "steps");
  options.add("--score-every", settings.score_every, "record: steps from one scored step to the next", {1, 1000000},
              "steps");
  options.add("--per-shard", settings.per_shard, "record: trajectories a file", {1, 100000}, "trajectories");
  options.add("--thresholds", settings.thresholds,
              "judges finished pictures in place of --scorer (a score of 1 or 0); record: labels them", "FILE");
  options.add("--simulate", settings.simulate, "replay --policy on a recording, in place of --model and --masks",
              "REC");
  options.add("--final-judge", settings.final_judge,
              "replay: judges finished pictures; label: by the recording's thresholds", "NAME", "as --judge");
  options.add("--fit", settings.fit,
              "replay: write the restart rule that fits the recording, in place of --out; with --accept-per-mask "
              "one that fits an equal quota of each mask",
              "FILE");
  options.add(
      "--ceiling", settings.ceiling,
      "write the AUROC of an ideal judge after so many calls, in place of --out: the noise that remains is drawn "
      "anew --branches times from each of --count states, endings labelled by --thresholds",
      "FILE");
  options.add("--branches", settings.branches, "ceiling: endings of each state", {2, 10000}, "trajectories");
  options.add("--branch-after", settings.branch_after, "ceiling: calls before the noise is drawn anew", "CALLS,...");
  options.add("--looks", settings.looks, "fit: the steps it looks at, -1 is before the first call", "STEP,...",
              "8 on a log scale");
}

}  // namespace

Shard parse_shard(const std::string& text) {
  Shard shard;
  char slash = 0, rest = 0;
  std::istringstream in(text);
  const bool fits = (in >> shard.index >> slash >> shard.of) && slash == '/' && !(in >> rest) && shard.index >= 0 &&
                    shard.of >= 1 && shard.index < shard.of;
  check_input(fits, Fault::kUsage, "--shard: expected i/n with 0 <= i < n, found '", text, "'");
  return shard;
}

JudgeFlag parse_judge(const std::string& text) {
  JudgeFlag judge;
  const size_t equals = text.find('=');
  judge.name = text.substr(0, equals);
  if (equals != std::string::npos) judge.run = text.substr(equals + 1);
  if (judge.run.ends_with(":xt")) {
    judge.on = ScoreOn::xt;
    judge.run.resize(judge.run.size() - 3);
  }
  const bool plain = std::all_of(judge.name.begin(), judge.name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  check_input(plain && !judge.name.empty() && !judge.run.empty(), Fault::kUsage,
              "--judge: expected NAME=RUN or NAME=RUN:xt, NAME of letters, digits, - and _, found '", text, "'");
  return judge;
}

namespace {

void rule(bool holds, const char* message) { check_input(holds, Fault::kUsage, message); }

void check_recording(const SampleSettings& settings) {
  rule(settings.policy == "none", "--record: keeps whole trajectories, leave out --policy");
  rule(settings.noise.empty() && settings.trace.empty() && !settings.accept && parse_shard(settings.shard).of == 1,
       "--record: takes neither --noise, --trace, --accept nor --shard, leave them out");
  for (const std::string& judge : settings.judges) parse_judge(judge);
}

void check_replay(const SampleSettings& settings) {
  rule(settings.model.empty() && settings.masks.empty() && settings.noise.empty() && settings.trace.empty() &&
           settings.scorer.empty() && settings.value.empty() && settings.thresholds.empty(),
       "--simulate: the recording says what was sampled and judged; leave out --model, --masks, --noise, --trace, "
       "--scorer, --value, --thresholds");
  rule(settings.judges.size() <= 1, "--judge: expected one name to simulate with");
  rule(settings.policy != "smc" && settings.policy != "es-ddpm",
       "--policy: no recording can answer smc or es-ddpm, run them live");
  rule(settings.policy != "paper" || (settings.tail_steps == 0 && settings.keep == "finish"),
       "--policy paper: a recording holds no tail, add --tail-steps 0 --keep finish");
  rule(settings.fit.empty() || !settings.judges.empty(), "--fit: expected the judge to fit, add --judge NAME");
  rule(settings.policy == "none" || !settings.judges.empty() || !settings.final_judge.empty(),
       "--judge: this --policy needs a judge, add --judge NAME");
  parse_numbers(settings.looks, "--looks");
}

void check_live(const SampleSettings& settings) {
  rule(settings.noise.empty() != settings.masks.empty(),
       "--masks: expected either --masks DIR or --noise FILE, give one");
  rule(settings.count || !settings.noise.empty(),
       "--count: expected a number of trajectories, found none, add --count N");
  rule(!settings.count || settings.noise.empty(), "--count: comes from the --noise file, leave it out");
  const bool final_judge = !settings.scorer.empty() || !settings.thresholds.empty();
  rule(settings.policy == "none" || final_judge || !settings.value.empty(),
       "--scorer: this --policy needs a judge, add --scorer RUN");
  rule(settings.eta == 0 || settings.sampler == "ddim", "--eta: only --sampler ddim takes it, leave it out");
  rule(settings.trace.empty() || settings.policy == "none" || settings.policy == "posthoc",
       "--trace: expected whole trajectories, use --policy none or posthoc");
  rule(settings.trace.empty() || (!settings.accept && !settings.accept_per_mask && parse_shard(settings.shard).of == 1),
       "--trace: expected all trajectories, leave out --accept and --shard");
  rule(settings.policy != "oracle", "--policy oracle: knows what only a recording can tell, add --simulate REC");
  rule(settings.policy != "es-ddpm" || settings.noise.empty(), "--policy es-ddpm: begins with pictures, give --masks");
  rule(settings.final_judge.empty() && settings.fit.empty(), "--final-judge, --fit: only --simulate takes them");
  rule(settings.judges.empty() || !settings.record.empty(), "--judge: only --record and --simulate take it");
}

}  // namespace

void check_flags(const SampleSettings& settings) {
  const int outputs = !settings.out.empty() + !settings.record.empty() + !settings.fit.empty() +
                      !settings.ceiling.empty() + !settings.fit_adadiff.empty();
  rule(outputs == 1,
       "--out: expected one of --out DIR, --record REC, --fit FILE, --ceiling FILE and --fit-adadiff FILE");
  rule(settings.ceiling.empty() ||
           (!settings.thresholds.empty() && !settings.masks.empty() && settings.policy == "none"),
       "--ceiling: expected --masks and --thresholds, and no --policy");
  rule(!settings.model.empty() || !settings.simulate.empty(), "--model: expected a diffusion run, add --model RUN");
  rule(settings.simulate.empty() || settings.record.empty(), "--simulate: replays a recording, leave out --record");
  rule(!ranks_groups(settings) || parse_shard(settings.shard).of == 1,
       "--shard: this --policy ranks trajectories that shards would part, leave it out");
  rule(settings.policy != "restart" || !settings.rule.empty(), "--rule: --policy restart needs one, add --rule FILE");
  rule(settings.adadiff.empty() ||
           (!settings.out.empty() && settings.simulate.empty() && settings.guidance == 1 && settings.deepcache == 1),
       "--adadiff: only sampling to --out without --guidance and --deepcache takes it, leave it out");
  rule(settings.fit_adadiff.empty() || (settings.simulate.empty() && !settings.masks.empty() &&
                                        settings.policy == "none" && settings.guidance == 1),
       "--fit-adadiff: expected --masks, and neither --policy nor --guidance");
  rule(settings.deepcache == 1 || (settings.fit_adadiff.empty() && settings.simulate.empty() &&
                                   settings.ceiling.empty() && settings.guidance == 1),
       "--deepcache: only --out and --record without --guidance take it, leave it out");
  parse_shard(settings.shard);
  if (!settings.simulate.empty())
    check_replay(settings);
  else
    check_live(settings);
  if (!settings.record.empty()) check_recording(settings);
  // The constants of a policy, but for those in a file that may not be there.
  if (settings.policy != "restart" && settings.policy != "oracle") make_policy(settings, 0, {});
}

void declare_flags(Options& options, SampleSettings& settings) {
  options.add("--model", settings.model, "run directory of dtrain diffusion or dweights import", "RUN");
  options.add("--out", settings.out, "folder to make: images/, samples.jsonl, summary.json", "DIR");
  options.add("--masks", settings.masks, "data-set folder; its masks are taken in name order, over and over", "DIR");
  options.add("--planes", settings.planes, "planes of the masks, in place of dataset.json", "NAME=VALUE,...");
  options.add("--count", settings.count, "trajectories; with --masks", {1, 1000000000}, "trajectories", "from --noise");
  options.add("--image-size", settings.image_size, "width and height", {8, 1024}, "pixels", "as the model says");
  options.add("--batch", settings.batch, "trajectories under way at once; changes no picture", {1, 100000},
              "trajectories");
  options.add_choice("--ema", settings.ema, "averaged weights, where the run has them", {"on", "off"});
  options.add("--shard", settings.shard, "only trajectories of index mod n = i", "i/n");
  declare_sampler(options, settings);
  declare_policy(options, settings);
  declare_recording(options, settings);
  options.add("--noise", settings.noise, "x_T, noise, cond to sample with, in place of --masks and the seed", "FILE");
  options.add("--trace", settings.trace, "write x, eps and x_start of every step", "FILE");
}

}  // namespace echodiff
