// dsample: pictures of a network, with a judge in the loop if wanted.
#include <chrono>
#include <map>
#include <optional>

#include "dsample/dsample.h"
#include "dsample/mean_grey.h"
#include "dsample/noise.h"
#include "dsample/policies.h"
#include "quality/judges/threshold_judge.h"
#include "quality/recordings/picture_list.h"
#include "quality/recordings/sample_folder.h"
#include "quality/recordings/sample_merge.h"
#include "tensor/io/text.h"
#include "tensor/io/toml.h"
#include "tensor/observe.h"
#include "train/checkpoint.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

struct Settings {
  ModelSettings model;
  MaskSettings masks;
  PolicySettings policy;
  std::string out, shard = "0/1", noise, trace;
  std::string scorer, value, thresholds, score_on = "x0hat", adadiff;
  double adadiff_error = 0.02, keep_noise = 0;
  bool allow_unfinished = false;
};

void check_settings(const Settings& settings) {
  const PolicyRow& policy = policy_row(settings.policy);
  const bool whole = parse_shard(settings.shard, "--shard").of == 1, given = !settings.noise.empty();
  check_flags(settings.masks.masks.empty() || !given, "--masks: expected either --masks DIR or --noise FILE, give one");
  check_flags(settings.masks.count || given, "--count: expected a number of trajectories, found none, add --count N");
  check_flags(!settings.masks.count || !given, "--count: comes from the --noise file, leave it out");
  check_flags(!policy.begin || !settings.masks.masks.empty(),
              "--masks: this --policy begins with pictures, give --masks DIR");
  check_flags(!policy.is(kRanks) || whole,
              "--shard: this --policy ranks trajectories that shards would part, leave it out");
  check_flags(
      policy.is(kUnjudged) || !settings.scorer.empty() || !settings.thresholds.empty() || !settings.value.empty(),
      "--scorer: this --policy needs a judge, add --scorer RUN");
  check_flags(settings.trace.empty() || policy.is(kLetsAllEnd),
              "--trace: expected whole trajectories, use --policy none or posthoc");
  check_flags(settings.trace.empty() || (!settings.policy.accept && !settings.policy.accept_per_mask && whole),
              "--trace: expected all trajectories, leave out --accept and --shard");
  check_flags(settings.adadiff.empty() || (settings.model.guidance == 1 && settings.model.deepcache == 1),
              "--adadiff: goes without --guidance and --deepcache, leave it out");
  check_flags(settings.model.mean_start.value_or(0) == 0 || (!given && !policy.begin),
              "--mean-start: --noise and this --policy say where trajectories begin, leave it out");
  check_flags(settings.keep_noise == 0 || settings.policy.keep == "finish",
              "--keep-noise: is of finished pictures, leave out --keep");
}

void declare(Options& options, Settings& settings) {
  options
      .add("--out", settings.out,
           "folder to make: images/, samples.jsonl, summary.json; with the same flags a run that was broken off there "
           "goes on, to the same bits",
           "DIR")
      .required();
  declare_model(options, settings.model);
  declare_guidance(options, settings.model);
  declare_deepcache(options, settings.model);
  options.add(
      "--adadiff", settings.adadiff,
      "shallow calls as --deepcache's where this rule expects less error than --adadiff-error; dsample fit-exits "
      "wrote it",
      "FILE");
  options.add("--adadiff-error", settings.adadiff_error, "error of the network's answer that --adadiff allows",
              {0, 100}, "root mean square");
  declare_masks(options, settings.masks, "from --noise");
  options.add("--noise", settings.noise, "x_T, noise, cond to sample with, in place of --masks, --count and the seed",
              "FILE");
  options.add("--trace", settings.trace, "write x, eps and x_start of every step", "FILE");
  options.add("--shard", settings.shard,
              "only trajectories of index mod n = i, into a folder of its own; dsample merge puts them together; in a "
              "SLURM array each task has its own by itself",
              "i/n");
  options.add("--scorer", settings.scorer, "run directory of dtrain scorer: judges the finished picture", "RUN");
  options.add("--value", settings.value, "run of the judge on the way, where it is another", "RUN", "as --scorer");
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take a judge in the midst of its training");
  options.add("--thresholds", settings.thresholds, "judges finished pictures in place of --scorer (a score of 1 or 0)",
              "FILE");
  options.add("--keep-noise", settings.keep_noise,
              "share of the last step's noise that the kept picture has, inside of the sector; judges score it without",
              {0, 1}, "share");
  options.add_choice("--score-on", settings.score_on,
                     "what is scored on the way, the predicted clean picture or x_t itself (the paper's words)",
                     {"x0hat", "xt"});
  declare_policies(options, settings.policy, false);
  options.rule([&settings] { check_settings(settings); });
}

void apply_adadiff(const Settings& settings, const SampledModel& model, SamplerJob& job) {
  if (settings.adadiff.empty()) return;
  share_deep_levels(model, "--adadiff", job);
  check_present(settings.adadiff, "a rule that dsample fit-exits wrote");
  job.exits = read_exit_rule(settings.adadiff);
  job.exit_error = settings.adadiff_error;
  check_input(job.exits->steps == job.plan.count(), Fault::kUsage, settings.adadiff, ": was fitted on ",
              job.exits->steps, " steps, found a sampler of ", job.plan.count(), "; fit it on this sampler");
  check_input(job.exits->mean_start == job.mean_start, Fault::kUsage, settings.adadiff,
              ": was fitted for --mean-start ", job.exits->mean_start, ", found ", job.mean_start,
              "; fit it on this sampler");
}

// Noise and masks from --noise, else the seed's and the folder's.
Conditions read_conditions(const Settings& settings, const Common& common, const DenoiserRun& run, SamplerJob& job) {
  if (settings.noise.empty()) return read_masks(settings.masks, common, run, job.count);
  const GivenNoise given = read_given_noise(settings.noise, job.plan.count());
  const int64_t planes = given.conditions[0].dim(1);
  check_input(planes == run.options.planes || run.options.planes == 0, Fault::kBadInput, settings.noise,
              ": cond: expected ", run.options.planes, " planes as the model has, found ", planes);
  job.count = given.count();
  job.noise = given.source();
  return {given.conditions, {}, {}};
}

// The judge on the way; the job takes the one of finished pictures, where that is another.
Judge load_judges(const Settings& settings, Device device, const std::vector<std::string>& planes, SamplerJob& job) {
  const int64_t height = job.conditions[0].dim(2), width = job.conditions[0].dim(3);
  Judge judge;
  const auto load = [&](const std::string& run) {
    return load_judge(run, height, width, device, planes, settings.allow_unfinished);
  };
  if (!settings.scorer.empty()) judge = load(settings.scorer);
  if (!settings.value.empty()) {
    job.final_judge = judge;
    judge = load(settings.value);
  }
  if (!settings.thresholds.empty()) job.final_judge = threshold_judge(read_thresholds(settings.thresholds));
  // Before hours of sampling: does each take what it will be asked about?
  if (judge) try_judge(judge, job, job.plan.steps[0].t);
  if (const Judge& last = job.final_judge ? job.final_judge : judge) try_judge(last, job, -1);
  return judge;
}

SummaryFacts facts_of(const Settings& settings, const SampledModel& model, const SamplerJob& job, uint64_t seed) {
  SummaryFacts facts;
  static_cast<SamplerFacts&>(facts) = sampler_facts(model, settings.model, job, seed);
  facts.size = job.conditions[0].dim(3);
  if (job.exits) facts.adadiff_error = settings.adadiff_error;
  facts.policy = settings.policy.policy;
  facts.judge = settings.value.empty() ? settings.scorer : settings.value;
  facts.final_judge = settings.thresholds.empty() ? settings.scorer : settings.thresholds;
  facts.score_on = settings.score_on;
  facts.keep = settings.policy.keep;
  facts.batch = job.batch;
  facts.tau = job.tau;
  facts.keep_noise = job.keep_noise;
  return facts;
}

// The sampler's run, each record into the folder, each step into the trace.
SamplerTotals run_into(SampleFolder& folder, std::optional<Trace>& trace, std::optional<MeanGrey>& grey,
                       const SamplerJob& job, const SampledModel& model, const Judge& judge,
                       const std::vector<std::string>& masks, const Common& common) {
  Progress progress("sampling", job.count * job.plan.count(), "steps", common.quiet,
                    int64_t(folder.known().size()) * job.plan.count());
  int64_t kept = 0, decided = 0;
  SamplerHooks hooks;
  hooks.stop = interrupted;
  hooks.on_record = [&](const SampleRecord& record) {
    kept += record.kept() ? 1 : 0;
    ++decided;
    folder.write(record, masks.empty() ? "" : masks[size_t(record.condition)], common.seed);
    if (grey) grey->add(record);
  };
  hooks.on_progress = [&](int64_t done, int64_t) {
    progress.update(done, std::to_string(kept) + " kept of " + std::to_string(decided));
  };
  if (trace)
    hooks.on_step = [&](const std::vector<Stepped>& steps) {
      for (const Stepped& one : steps) trace->keep(one.index, one.step, *one.state);
    };
  std::optional<StopWhen> stop;
  if (job.device == Device::kCpu) stop.emplace(interrupted);  // on cuda a call is short, and perhaps a graph
  // A trace needs every step of every trajectory.
  const SamplerTotals totals = run_sampler(job, model.network(), judge, hooks, trace ? KnownRecords() : folder.known());
  progress.finish();
  return totals;
}

// What the flags name, by content: the same names may mean other files by the time the run goes on.
std::string resolved_toml(const Settings& settings, const SamplerJob& job, const LoadedDenoiser& run) {
  std::map<std::string, std::string> hashes{{"model", file_hash(run.checkpoint)}};
  const auto add = [&](const char* key, const std::string& path) {
    if (!path.empty()) hashes[key] = file_hash(path);
  };
  add("scorer", settings.scorer.empty() ? "" : run_checkpoint(settings.scorer));
  add("value", settings.value.empty() ? "" : run_checkpoint(settings.value));
  add("thresholds", settings.thresholds);
  add("rule", settings.policy.rule);
  add("adadiff", settings.adadiff);
  add("noise", settings.noise);
  // The masks, and what the first trajectory of each begins with: a given file's noise, a picture of es-ddpm.
  const auto bytes_of = [](const float* values, int64_t count) {
    return std::string_view(reinterpret_cast<const char*>(values), size_t(count) * sizeof(float));
  };
  std::string masks, starts;
  std::vector<float> start(size_t(job.conditions[0].dim(2) * job.conditions[0].dim(3)));
  for (size_t i = 0; i < job.conditions.size(); ++i) {
    masks += bytes_hash(bytes_of(job.conditions[i].data<float>(), job.conditions[i].count()));
    if (job.mean_start > 0) continue;  // follows from seed, model and mask, and would cost calls here
    job.noise(int64_t(i), 0, start.data(), int64_t(start.size()));
    starts += bytes_hash(bytes_of(start.data(), int64_t(start.size())));
  }
  hashes["masks"] = bytes_hash(masks);
  hashes["starts"] = job.mean_start > 0 ? concat_message("means of ", job.mean_start) : bytes_hash(starts);
  std::string toml = "\n[resolved]\n" + toml_text_line("fit", name_of(run.fit));
  for (const auto& [key, hash] : hashes) toml += toml_text_line(key, hash);
  return toml;
}

int sample(const Settings& settings, const Common& common) {
  check_present(settings.noise, "a safetensors file");
  check_present(settings.scorer, "a scorer run");
  check_present(settings.value, "a scorer run");
  check_present(settings.thresholds, "a threshold file");
  check_present(settings.policy.rule, "a rule that dsample fit wrote");

  const SampledModel model = load_model(settings.model, settings.masks, common, !settings.noise.empty());
  SamplerJob job = sampler_job(model, settings.model, settings.masks, common);
  const Shard shard = parse_shard(settings.shard, "--shard");
  if (shard.of > 1 && !common.given("--shard"))
    note(common, concat_message("shard ", text_of(shard), ", as SLURM's array says; --shard 0/1 draws all"));
  job.shard = shard.index;
  job.shards = shard.of;
  job.score_on = parse_score_on(settings.score_on);
  job.keep_noise = settings.keep_noise;
  if (const int64_t steps = settings.policy.tail_steps; steps > 0)
    job.tail = [&model, steps](int64_t t) { return make_tail(model.schedule, model.options, t, steps); };
  const Conditions conditions = read_conditions(settings, common, model.run, job);
  job.conditions = conditions.masks;
  const PolicyRow& policy = policy_row(settings.policy);
  const bool own_start = settings.noise.empty() && !policy.begin;
  if (own_start) start_at_means(model, settings.model, common, job);
  apply_adadiff(settings, model, job);
  apply_policy(settings.policy, common.seed, conditions.files, job);
  if (policy.begin) policy.begin(settings.policy, model, conditions, settings.masks.masks, job);
  const Judge judge = load_judges(settings, model.device, conditions.planes, job);

  SampleFolder folder(settings.out, common.resolved_toml + resolved_toml(settings, job, model.run),
                      settings.policy.keep_discarded, job);
  if (folder.finished()) {
    note(common, settings.out + ": is finished already");
    return 0;
  }
  if (!folder.known().empty())
    note(common, concat_message(settings.out, ": going on after ", folder.known().size(), " trajectories"));
  std::optional<Trace> trace;
  if (!settings.trace.empty())
    trace.emplace(job.plan, job.count, job.conditions[0].dim(2), job.conditions[0].dim(3), job.noise);
  std::optional<MeanGrey> grey;
  if (own_start && job.plan.steps[0].t < model.schedule.T - 1)
    grey.emplace(settings.masks.masks, conditions, model.run);
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const SamplerTotals totals = run_into(folder, trace, grey, job, model, judge, conditions.files, common);
  if (trace && !totals.interrupted) trace->write(settings.trace);
  SummaryFacts facts = facts_of(settings, model, job, common.seed);
  facts.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (const auto& [index, record] : folder.known()) facts.seconds += record.seconds;
  if (grey) facts.mean_grey = grey->of_samples(), facts.mean_grey_of_data = grey->of_data();
  folder.write_summary(facts, totals);
  const std::string shallow =
      totals.shallow_calls > 0 ? concat_message(", ", totals.shallow_calls, " of them shallow") : "";
  note(common, concat_message(settings.out, ": ", totals.kept, " kept of ", totals.trajectories, " trajectories, ",
                              totals.unet_calls, " network calls", shallow));
  if (grey) grey->tell(common, settings.out, job.mean_start);
  return totals.interrupted ? interrupt_exit_code() : 0;
}

}  // namespace

void add_sample(Options& program) {
  static Settings settings;
  settings.shard = text_of(shard_of_array());
  declare(program, settings);
  program.common_flags({"--masks", "--count", "--sampler", "--sample-steps", "--grid", "--keep-noise", "--batch",
                        "--scorer", "--thresholds", "--policy", "--accept", "--deepcache", "--shard"});
  program.runs_on_cuda();
  program.body([](const Common& common) { return sample(settings, common); });
}

}  // namespace echodiff
