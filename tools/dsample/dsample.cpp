// dsample: pictures from a diffusion run, conditioned on the masks of a data-set folder, with a judge in the loop if
// wanted. The sampling itself is quality/sampler.h; here are its inputs and outputs.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "dsample/ceiling.h"
#include "dsample/exits.h"
#include "dsample/noise.h"
#include "dsample/output.h"
#include "dsample/record.h"
#include "dsample/replay.h"
#include "dsample/settings.h"
#include "dsample/setup.h"
#include "kernels/thread_pool.h"
#include "quality/judges/threshold_judge.h"
#include "quality/sampling/sampler.h"

namespace {

using namespace echodiff;

SummaryFacts facts_of(const SampleSettings& settings, const DenoiserRun& run, const SamplerOptions& options) {
  SummaryFacts facts;
  facts.policy = settings.policy;
  facts.sampler = settings.sampler;
  facts.judge = settings.value.empty() ? settings.scorer : settings.value;
  facts.final_judge = settings.thresholds.empty() ? settings.scorer : settings.thresholds;
  facts.score_on = settings.score_on;
  facts.keep = settings.keep;
  facts.schedule = name_of(run.schedule);
  facts.prediction = name_of(run.prediction);
  facts.T = run.T;
  facts.batch = settings.batch;
  facts.eta = settings.eta;
  facts.guidance = settings.guidance;
  facts.deepcache = settings.deepcache;
  if (!settings.adadiff.empty()) facts.adadiff_error = settings.adadiff_error;
  facts.tau = settings.tau;
  facts.clip = options.clip;
  return facts;
}

int sample(const SampleSettings& settings, const Common& common) {
  set_thread_count(int(common.threads));
  check_present(settings.model, "a diffusion run");
  check_present(settings.masks, "a data-set folder");
  check_present(settings.noise, "a safetensors file");
  check_present(settings.scorer, "a scorer run");
  check_present(settings.value, "a scorer run");
  check_present(settings.thresholds, "a threshold file");
  check_present(settings.rule, "a rule that --fit wrote");

  const SampledModel model = load_model(settings, common);
  const DenoiserRun& run = model.run;
  const Shard shard = parse_shard(settings.shard);

  SamplerJob job;
  job.plan = make_plan(model.schedule, model.options);
  job.device = model.device;
  job.batch = settings.batch;
  job.shard = shard.index;
  job.shards = shard.of;
  job.accept = settings.accept;
  job.accept_per_mask = settings.accept_per_mask;
  job.guidance = settings.guidance;
  apply_early_exits(settings, model, job);
  job.tau = settings.tau;
  job.score_on = parse_score_on(settings.score_on);
  job.keep = parse_keep(settings.keep);
  require_rule_fits(settings, job);
  if (settings.tail_steps > 0)
    job.tail = [&](int64_t t) { return make_tail(model.schedule, model.options, t, settings.tail_steps); };
  Conditions conditions;
  if (settings.noise.empty()) {
    job.count = *settings.count;
    job.noise = default_noise(common.seed);
    conditions = read_masks(settings, common, run, job.count);
  } else {
    const GivenNoise given = read_given_noise(settings.noise, job.plan.count());
    job.count = given.count();
    job.noise = given.source();
    conditions.masks = given.conditions;
    check_input(given.conditions[0].dim(1) == run.options.planes || run.options.planes == 0, Fault::kBadInput,
                settings.noise, ": cond: expected ", run.options.planes, " planes as the model has, found ",
                given.conditions[0].dim(1));
  }
  job.conditions = conditions.masks;
  job.policy = make_policy(settings, common.seed, conditions.files);
  if (settings.policy == "es-ddpm") start_from_pictures(settings, model, conditions, job);
  const int64_t height = job.conditions[0].dim(2), width = job.conditions[0].dim(3);

  Judge judge;
  if (!settings.scorer.empty()) judge = load_judge(settings.scorer, height, width, model.device);
  if (!settings.value.empty()) {
    job.final_judge = judge;
    judge = load_judge(settings.value, height, width, model.device);
  }
  if (!settings.thresholds.empty()) job.final_judge = threshold_judge(read_thresholds(settings.thresholds));

  SampleFolder folder(settings.out, settings.keep_discarded, job);
  folder.write_config(common.resolved_toml);
  std::optional<Trace> trace;
  if (!settings.trace.empty()) trace.emplace(job.plan, job.count, height, width, job.noise);
  Progress progress("sampling", job.count * job.plan.count(), "steps", common.quiet);
  int64_t kept = 0, decided = 0;
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_record = [&](const SampleRecord& record) {
    kept += record.kept() ? 1 : 0;
    ++decided;
    folder.write(record, conditions.files.empty() ? "" : conditions.files[size_t(record.condition)], common.seed);
  };
  hooks.on_progress = [&](int64_t done, int64_t) {
    progress.update(done, std::to_string(kept) + " kept of " + std::to_string(decided));
  };
  if (trace)
    hooks.on_step = [&](const std::vector<Stepped>& steps) {
      for (const Stepped& one : steps) trace->keep(one.index, one.step, *one.state);
    };

  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const SamplerTotals totals = run_sampler(job, model.network(), judge, hooks);
  progress.finish();
  if (trace && !totals.interrupted) trace->write(settings.trace);
  SummaryFacts facts = facts_of(settings, run, model.options);
  facts.sample_steps = job.plan.count();
  facts.size = width;
  facts.seed = common.seed;
  facts.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  folder.write_summary(facts, totals);
  note(common,
       concat_message(settings.out, ": ", totals.kept, " kept of ", totals.trajectories, " trajectories, ",
                      totals.unet_calls, " network calls",
                      totals.shallow_calls > 0 ? concat_message(", ", totals.shallow_calls, " of them shallow") : ""));
  return totals.interrupted ? interrupt_exit_code() : 0;
}

}  // namespace

int main(int argc, char** argv) {
  SampleSettings settings;
  return run_program(
      argc, argv,
      {"dsample", "Samples pictures from a diffusion run, conditioned on masks, with a judge in the loop if wanted.",
       "dsample --model run --masks phantom --count 16 --sampler ddim --sample-steps 50 --out samples"},
      [&](Options& options) {
        declare_flags(options, settings);
        options.rule([&] { check_flags(settings); });
        options.runs_on_cuda();
        options.body([&](const Common& common) {
          if (!settings.record.empty()) return record(settings, common);
          if (!settings.ceiling.empty()) return find_ceiling(settings, common);
          if (!settings.fit.empty()) return fit_rule(settings, common);
          if (!settings.fit_adadiff.empty()) return fit_adadiff(settings, common);
          return settings.simulate.empty() ? sample(settings, common) : replay_policy(settings, common);
        });
      });
}
