#include "dsample/replay.h"

#include "dsample/output.h"
#include "dsample/setup.h"
#include "kernels/error.h"
#include "quality/recordings/replay.h"
#include "quality/recordings/restart_fit.h"
#include "quality/sampling/policy/oracle.h"
#include "quality/sampling/policy/restart.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

ReplayOptions judges_of(const SampleSettings& settings) {
  return {settings.judges.empty() ? "" : settings.judges[0], settings.final_judge};
}

}  // namespace

int replay_policy(const SampleSettings& settings, const Common& common) {
  check_present(settings.simulate, "a recording");
  check_present(settings.rule, "a rule that --fit wrote");
  const Recording recording = read_recording(settings.simulate, true);
  const RecordingFacts& facts = recording.facts;
  SamplerJob job = recorded_job(recording);
  const ReplayOptions options = judges_of(settings);
  if (!options.judge.empty()) job.score_on = facts.judges[facts.judge(options.judge)].on;
  if (settings.count) job.count = *settings.count;
  job.batch = settings.batch;
  job.accept = settings.accept;
  job.accept_per_mask = settings.accept_per_mask;
  job.tau = settings.tau;
  job.keep = parse_keep(settings.keep);
  // Only its being there counts: a recording holds no tail.
  if (settings.tail_steps > 0) job.tail = [](int64_t) { return SamplingPlan(); };
  if (settings.policy == "oracle")
    job.policy = oracle_policy(fates_of(recording, job, options).kept, settings.discard_at);
  else
    job.policy = make_policy(settings, facts.seed, facts.masks);
  require_rule_fits(settings, job);

  SampleFolder folder(settings.out, settings.keep_discarded, job);
  folder.write_config(common.resolved_toml);
  SamplerHooks hooks;
  hooks.on_record = [&](const SampleRecord& record) {
    folder.write(record, facts.masks[size_t(record.condition)], facts.seed);
  };
  const SamplerTotals totals = replay(recording, job, options, hooks);
  SummaryFacts summary;
  summary.policy = settings.policy;
  summary.judge = options.judge;
  summary.final_judge = options.final_judge.empty() ? options.judge : options.final_judge;
  summary.replayed = true;
  summary.sampler = facts.sampler;
  summary.score_on = name_of(job.score_on);
  summary.keep = settings.keep;
  summary.schedule = facts.schedule;
  summary.prediction = facts.prediction;
  summary.sample_steps = facts.steps();
  summary.T = facts.T;
  summary.size = facts.size;
  summary.batch = settings.batch;
  summary.seed = facts.seed;
  summary.eta = facts.eta;
  summary.guidance = facts.guidance;
  summary.deepcache = facts.deepcache;
  summary.tau = settings.tau;
  summary.clip = facts.clip;
  summary.seconds = totals.unet_seconds + totals.scorer_seconds;
  folder.write_summary(summary, totals);
  note(common, concat_message(settings.out, ": ", totals.kept, " kept of ", totals.trajectories, " trajectories, ",
                              totals.unet_calls, " network calls, replayed"));
  return 0;
}

int fit_rule(const SampleSettings& settings, const Common& common) {
  check_present(settings.simulate, "a recording");
  const Recording recording = read_recording(settings.simulate, false);
  RestartFitOptions options;
  options.judges = judges_of(settings);
  options.tau = settings.tau;
  options.equal_quota = settings.accept_per_mask.has_value();
  for (const double look : parse_numbers(settings.looks, "--looks")) options.looks.push_back(int64_t(look));
  const RestartRule rule = fit_restart(recording, options);
  write_restart_rule(settings.fit, rule);
  note(common, concat_message(settings.fit, ": lambda ", rule.lambda,
                              "; network calls per accepted picture: ", rule.fit.posthoc_cost, " without, ",
                              rule.fit.fitted_cost, " with it, ", rule.fit.held_out_cost, " on held-out ",
                              options.equal_quota ? "trajectories, the mean over masks" : "masks"));
  return 0;
}

}  // namespace echodiff
