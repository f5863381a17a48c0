// dsample record: whole trajectories, every judge's score of every step, as a recording (quality/recordings).
#include <algorithm>
#include <limits>

#include "dsample/dsample.h"
#include "dsample/setup.h"
#include "quality/recordings/recorder.h"
#include "tensor/io/lock.h"
#include "train/run_checkpoint.h"

namespace echodiff {
namespace {

struct Settings {
  ModelSettings model;
  MaskSettings masks;
  std::string out, thresholds, shard;
  std::vector<std::string> judges;
  bool allow_unfinished = false;
  int64_t thumbnails = 4, per_shard = 64, score_every = 1;
};

struct JudgeFlag {
  std::string name, run;
  ScoreOn on = ScoreOn::x0hat;
};

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

RecordingFacts facts_of(const Settings& settings, const SampledModel& model, const SamplerJob& job,
                        const Conditions& conditions, uint64_t seed) {
  RecordingFacts facts;
  facts.model_hash = file_hash(model.run.checkpoint);
  static_cast<SamplerFacts&>(facts) = sampler_facts(model, settings.model, job, seed);
  facts.per_shard = settings.per_shard;
  facts.score_every = settings.score_every;
  for (const PlanStep& row : job.plan.steps) {
    facts.times.push_back(row.t);
    facts.next_times.push_back(row.next_t);
  }
  facts.thumbnail_steps = spread_thumbnails(facts.steps(), settings.thumbnails);
  if (!settings.thresholds.empty()) facts.thresholds = read_thresholds(settings.thresholds);
  facts.planes = conditions.planes;
  facts.masks = conditions.files;
  facts.fit = model.run.fit;
  return facts;
}

int record(const Settings& settings, const Common& common) {
  check_present(settings.thresholds, "a threshold file");
  const SampledModel model = load_model(settings.model, settings.masks, common);
  // All masks, so that a larger count adds to the recording: trajectory i takes number i mod their count either way.
  const Conditions conditions = read_masks(settings.masks, common, model.run, std::numeric_limits<int64_t>::max());

  RecorderJob job;
  job.sampling = sampler_job(model, settings.model, settings.masks, common);
  job.sampling.conditions = conditions.masks;
  start_at_means(model, settings.model, common, job.sampling);
  job.part = parse_shard(settings.shard, "--shard");
  job.facts = facts_of(settings, model, job.sampling, conditions, common.seed);
  for (const std::string& text : settings.judges) {
    const JudgeFlag judge = parse_judge(text);
    job.judges.push_back(load_judge(judge.run, job.facts.size, job.facts.size, model.device, conditions.planes,
                                    settings.allow_unfinished));
    for (const int64_t t : {job.facts.times[0], int64_t(-1)}) try_judge(job.judges.back(), job.sampling, t);
    job.facts.judges.push_back({judge.name, judge.on, file_hash(run_checkpoint(judge.run))});
  }

  const FolderLock lock(settings.out);
  const int64_t steps = job.facts.steps();
  if (job.part.of > 1 && !common.given("--shard"))
    note(common, concat_message("shard ", text_of(job.part), ", as SLURM's array says; --shard 0/1 records all"));
  Progress progress("recording", job.sampling.count * steps, "steps", common.quiet);
  RecorderHooks hooks;
  hooks.stop = interrupted;
  hooks.on_progress = [&](int64_t done, int64_t) { progress.update(done, ""); };
  const int64_t held = record_trajectories(settings.out, job, model.network(), hooks);
  progress.finish();
  note(common, concat_message(settings.out, ": ", held, " trajectories of ", steps, " steps"));
  return interrupted() ? interrupt_exit_code() : 0;
}

}  // namespace

void add_record(Options& program) {
  static Settings settings;
  Options& options = program.subcommand(
      "record", "Records whole trajectories and their scores, to replay policies on and to train judges with.",
      "dsample record --model run --masks phantom --count 200 --sampler ddim --judge clean=scorer --out recording");
  options
      .add("--out", settings.out, "recording to make (recording.json, chains-*.safetensors), or to go on with", "REC")
      .required();
  declare_model(options, settings.model);
  declare_guidance(options, settings.model);
  declare_deepcache(options, settings.model);
  declare_masks(options, settings.masks);
  options.add_list("--judge", settings.judges, "what scores every step, x0_hat or (with :xt) x_t", "NAME=RUN[:xt]");
  options.add_flag("--allow-unfinished", settings.allow_unfinished, "take a judge in the midst of its training");
  options.add("--thresholds", settings.thresholds, "labels the finished pictures", "FILE");
  options.add("--thumbnails", settings.thumbnails, "steps whose predicted picture is kept", {0, 1000}, "steps");
  options.add("--score-every", settings.score_every, "steps from one scored step to the next", {1, 1000000}, "steps");
  options.add("--per-shard", settings.per_shard, "trajectories a file", {1, 100000}, "trajectories");
  settings.shard = text_of(shard_of_array());
  options.add("--shard", settings.shard,
              "records the files whose number is i modulo n, so that n processes make one recording; dsample merge "
              "puts them together",
              "i/n");
  options.rule([] {
    parse_shard(settings.shard, "--shard");
    for (const std::string& judge : settings.judges) parse_judge(judge);
  });
  options.runs_on_cuda();
  options.body([](const Common& common) { return record(settings, common); });
}

}  // namespace echodiff
