#include "dsample/record.h"

#include <limits>

#include "dsample/setup.h"
#include "kernels/error.h"
#include "kernels/thread_pool.h"
#include "quality/recordings/recorder.h"

namespace echodiff {

int record(const SampleSettings& settings, const Common& common) {
  set_thread_count(int(common.threads));
  check_present(settings.model, "a diffusion run");
  check_present(settings.masks, "a data-set folder");
  check_present(settings.thresholds, "a threshold file");
  const SampledModel model = load_model(settings, common);
  // All masks, so that a larger count adds to the recording: trajectory i takes number i mod their count either way.
  const Conditions conditions = read_masks(settings, common, model.run, std::numeric_limits<int64_t>::max());

  RecorderJob job;
  SamplerJob& sampling = job.sampling;
  sampling.plan = make_plan(model.schedule, model.options);
  sampling.device = model.device;
  sampling.conditions = conditions.masks;
  sampling.noise = default_noise(common.seed);
  sampling.count = *settings.count;
  sampling.batch = settings.batch;
  sampling.guidance = settings.guidance;
  apply_early_exits(settings, model, sampling);

  RecordingFacts& facts = job.facts;
  facts.model_hash = file_hash(run_checkpoint(settings.model));
  facts.sampler = settings.sampler;
  facts.schedule = name_of(model.run.schedule);
  facts.prediction = name_of(model.run.prediction);
  facts.T = model.run.T;
  facts.size = model.run.image_size;
  facts.eta = settings.eta;
  facts.guidance = settings.guidance;
  facts.deepcache = settings.deepcache;
  facts.clip = model.options.clip;
  facts.ema = settings.ema == "on";
  facts.seed = common.seed;
  facts.per_shard = settings.per_shard;
  facts.score_every = settings.score_every;
  for (const PlanStep& row : sampling.plan.steps) {
    facts.times.push_back(row.t);
    facts.next_times.push_back(row.next_t);
  }
  facts.thumbnail_steps = spread_thumbnails(facts.steps(), settings.thumbnails);
  if (!settings.thresholds.empty()) facts.thresholds = read_thresholds(settings.thresholds);
  facts.planes = conditions.planes;
  facts.masks = conditions.files;
  for (const std::string& text : settings.judges) {
    const JudgeFlag judge = parse_judge(text);
    job.judges.push_back(load_judge(judge.run, facts.size, facts.size, model.device));
    facts.judges.push_back({judge.name, judge.on, file_hash(run_checkpoint(judge.run))});
  }

  Progress progress("recording", job.sampling.count * facts.steps(), "steps", common.quiet);
  RecorderHooks hooks;
  hooks.stop = interrupted;
  hooks.on_progress = [&](int64_t done, int64_t) { progress.update(done, ""); };
  const int64_t held = record_trajectories(settings.record, job, model.network(), hooks);
  progress.finish();
  note(common, concat_message(settings.record, ": ", held, " trajectories of ", facts.steps(), " steps"));
  return interrupted() ? interrupt_exit_code() : 0;
}

}  // namespace echodiff
